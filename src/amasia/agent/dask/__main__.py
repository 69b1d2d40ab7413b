"""``python -m amasia.agent.dask scheduler|worker INSTRUCTIONS NEWS AGENT``; started by the agent only."""

import asyncio
import os
import sys

from amasia.agent.dask.channel import Channel, die_with

role, instructions, news, agent = sys.argv[1:]
die_with(int(agent))  # before Dask is imported, which takes most of a second

from amasia.agent.dask import schedulers, workers  # noqa: E402

channel = Channel(int(instructions), int(news))
serve = {"scheduler": schedulers.serve, "worker": workers.serve}[role]
asyncio.run(serve(channel, channel.first()))
sys.stdout.flush()
sys.stderr.flush()
os._exit(0)  # threads of tasks that still run must not hold the machine
