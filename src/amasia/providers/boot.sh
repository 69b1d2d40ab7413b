#!/bin/sh
# Amasia: a bare Linux becomes machine @ID@. It is over when this script is.
umask 077
booted=$(date -u +%Y-%m-%dT%H:%M:%SZ)
id=@ID@ root=@ROOT@ plane=@PLANE@ poweroff=@POWEROFF@
home=$root/machines/$id
export LC_ALL=C.UTF-8 UV_SYSTEM_CERTS=1
@EXPORTS@

uptime() { cut -d. -f1 /proc/uptime; }
say() { echo "boot: $*"; }

over() { # the machine ends here, whatever happened
  say "over: $*"
  kill $watchdog $herald $mirror 2>/dev/null
  touch @ALIVE@ 2>/dev/null # until now
  if [ -n "$poweroff" ]; then
    { tail -n 20 "$home/@LOG@" >/dev/console; } 2>/dev/null
    sync
    poweroff 2>/dev/null || shutdown -P now 2>/dev/null || halt -p -f 2>/dev/null || kill -TERM 1
  fi
  exit 0
}

fetch() { # URL FILE, with whatever this system has
  if command -v curl >/dev/null; then curl -fsSL ${AMASIA_CA:+--cacert "$AMASIA_CA"} --connect-timeout 10 --max-time 300 -o "$2" "$1"
  elif command -v wget >/dev/null; then wget -q ${AMASIA_CA:+--ca-certificate="$AMASIA_CA"} -T 60 -O "$2" "$1"
  else python3 -c 'import os,shutil,ssl,sys,urllib.request as u
trust = ssl.create_default_context()
trust.load_verify_locations(os.environ["AMASIA_CA"]) if "AMASIA_CA" in os.environ else None
shutil.copyfileobj(u.urlopen(sys.argv[1], timeout=60, context=trust), open(sys.argv[2], "wb"))' "$1" "$2"
  fi
}

again() { # COMMAND..., until it works or the lease is over: the watchdog counts
  wait=1
  until "$@"; do
    say "again in $wait s: $*"
    sleep $wait
    [ $wait -lt 16 ] && wait=$((wait * 2))
  done
}

watch() { # ends agent and machine when the time that was paid for is over, also when the agent hangs
  while touch @ALIVE@ 2>/dev/null; sleep 2; do
    read -r until <"$home/@LEASE@" || until=$first
    if [ "$(uptime)" -ge "$((until + @AFTER@))" ]; then
      say "its lease is over"
      [ -s agent.pid ] && pkill -KILL -s "$(cat agent.pid)" 2>/dev/null
      [ -n "$poweroff" ] && over "the watchdog ended it"
      kill -TERM $$ 2>/dev/null
      sleep 1
      kill -KILL $$ 2>/dev/null
      exit 0
    fi
  done
}

heed() { # writes down when this machine is taken back, as soon as its provider says so
  while sleep 5; do
    notice >.notice 2>/dev/null
    [ -s .notice ] && mv .notice "$home/@NOTICED@" && say "it is taken back: $(cat "$home/@NOTICED@")" && return
  done
}

install() { # the agent of this control plane's version, once on this computer
  cd "$home" && fetch "$plane/v1/kit" kit || return 1 # an earlier try may have ended elsewhere
  read -r name wheel <kit
  agent=$root/agents/$name
  [ -e "$agent/ready" ] && return 0
  mkdir -p "$agent.$id" && cd "$agent.$id" || return 1
  uv=$(command -v uv || echo "$PWD/uv")
  [ -x "$uv" ] || { fetch "$plane/v1/kit/$name/uv-$(uname -m)" uv && chmod 755 uv; } || return 1
  fetch "$plane/v1/kit/$name/requirements.txt" requirements.txt &&
    fetch "$plane/v1/kit/$name/$wheel" "$wheel" &&
    "$uv" venv -q --clear --relocatable --python '>=3.12' venv &&
    "$uv" pip install -q --python venv -r requirements.txt --cache-dir "$root/cache/uv" &&
    "$uv" pip install -q --python venv --no-deps "./$wheel" --cache-dir "$root/cache/uv" &&
    touch ready || return 1
  cd "$home" && mv -T "$agent.$id" "$agent" 2>/dev/null
  rm -rf "$agent.$id"
  [ -e "$agent/ready" ]
}

mkdir -p "$home" "$root/agents" "$root/cache" && cd "$home" || over "its directory $home cannot be made"
exec </dev/null >>@LOG@ 2>&1
say "$booted"
{ [ -e @EXIT@ ] || [ -e @STOPPED@ ]; } && over "it ended before"
cat >@BOOT@ <<'AMASIA'
@JSON@
AMASIA
@CA@
first=$(($(uptime) + @PAID@ - @AFTER@))
[ -e @LEASE@ ] || echo "$first" >@LEASE@
watchdog=
watch &
watchdog=$!
if [ -n "$poweroff" ]; then # until the agent can speak, what is said here is what the provider keeps of the console
  { tail -f -n +1 "$home/@LOG@" >/dev/console; } 2>/dev/null &
  mirror=$!
fi
notice() {
  :
  @NOTICE@
}
@HEED@
trap 'over "it was told to end"' TERM INT HUP
again install
say "the agent of $name begins"
kill $mirror 2>/dev/null
setsid sh -c 'echo $$ >agent.pid; exec "$@"' agent \
  "$agent/venv/bin/python" -m amasia.agent "$home" --cache "$root/cache" --booted "$booted" &
child=$!
trap 'touch @STOPPED@; kill -TERM "$(cat agent.pid)" 2>/dev/null' TERM INT HUP
while kill -0 $child 2>/dev/null; do wait $child; done
over "its agent ended"
