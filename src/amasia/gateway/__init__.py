"""The gateway: a process that carries live bytes between those who dialled it, and decides nothing."""
