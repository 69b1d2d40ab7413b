# One verb of the ssh provider, on a host. Read whole before it begins: the last line calls `main`.
# Each machine has a record, a directory made at once or not at all: who made it, its slot, when it began and ended.
set -u
umask 077
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
root=@ROOT@ tag=@TAG@ user=@USER@
records=$root/records
uid=$(id -u)
case $uid in 0) own=$root/homes/$user ;; *) own=$root user=$(id -un) ;; esac

boot_script() {
  cat <<'@END@'
@BOOT@
@END@
}

exports() {
  true
@EXPORTS@
}

as() { # USER COMMAND...: never as root what a machine's user could have prepared
  if [ "$uid" = 0 ]; then
    one_user=$1
    shift
    setpriv --reuid "$one_user" --regid "$one_user" --init-groups --no-new-privs -- "$@"
  else
    shift
    "$@"
  fi
}

look() { # $living: " PID:ID …" of every process that belongs to a machine
  living=" $(grep -zHoaEs '^OWNED_BY_AMASIA=[a-z0-9._-]+' /proc/[0-9]*/environ 2>/dev/null |
    tr '\0' '\n' | sed 's|^/proc/||; s|/environ:OWNED_BY_AMASIA=|:|' | tr '\n' ' ')"
}

field() { # VARIABLE FILE, its first line; empty where there is none
  eval "$1="
  { IFS= read -r "$1" <"$2"; } 2>/dev/null || true
}

is_alive() { # a machine is over when its boot script is; $pid is that
  field pid "$record/launched"
  case $living in *" ${pid:--}:$id "*) return 0 ;; esac
  return 1
}

# --- start ------------------------------------------------------------------------------------------------------

start() { # SLOTS KIB GPUS BYTES: at most so many machines, with so much of the disk free
  make_root 2>/dev/null || answer denied "$root cannot be made by $(id -un)"
  lock || answer busy
  [ -e "$record/stopped" ] && answer stopped
  [ -e "$record/launched" ] && answer found
  if [ -e "$record/slot" ]; then kill_all; else take "$@"; fi # an earlier try did not come to its end
  make_user || {
    rm -rf "$record"
    answer user "$problem"
  }
  launch "$3" "$4" || {
    kill_all
    rm -rf "$record"
    answer disk "$(free)"
  }
  answer started
}

lock() { # of the host: one start, stop or burial at a time
  true >>"$root/lock" || return 1
  exec 9>>"$root/lock"
  flock -w 10 9
}

make_root() {
  mkdir -p "$records" && { [ "$uid" != 0 ] || chmod 711 "$root"; }
}

take() { # a slot, for good
  look
  taken=0 slots=" "
  for other in "$records"/*/; do
    other=${other%/}
    [ -e "$other/ended" ] || [ ! -e "$other/slot" ] && continue
    field other_pid "$other/launched"
    [ -n "$other_pid" ] && case $living in *" $other_pid:${other##*/} "*) ;; *) continue ;; esac
    field slot "$other/slot"
    taken=$((taken + 1)) slots="$slots$slot "
  done
  [ "$taken" -ge "$1" ] && answer full
  [ "$(free)" -ge "$2" ] || answer disk "$(free)"
  slot=0
  while case $slots in *" $slot "*) true ;; *) false ;; esac do slot=$((slot + 1)); done
  mkdir -p "$record" || answer disk "$(free)"
  { write tag "$tag" && write user "$user" && write own "$own" && write slot "$slot"; } || {
    rm -rf "$record"
    answer disk "$(free)"
  }
}

make_user() {
  [ "$uid" = 0 ] || return 0
  problem=$(id "$user" >/dev/null 2>&1 || useradd --system --user-group --no-create-home --home-dir "$own" \
    --shell /usr/sbin/nologin "$user" 2>&1) || return 1
  problem=$({ mkdir -p "$own" && chmod 711 "$root/homes" && chmod 700 "$own" && chown "$user:$user" "$own"; } 2>&1)
}

launch() { # GPUS BYTES
  home=$own/machines/$id
  # shellcheck disable=SC2016
  boot_script | as "$user" sh -c 'mkdir -p "$1" && cat >"$1/boot.sh"' sh "$home" || return 1
  field boot_id /proc/sys/kernel/random/boot_id
  field slot "$record/slot"
  write boot_id "$boot_id" && write started "$(date +%s.%N)" || return 1
  make_group "$2"
  set -- "$1" "$home/boot.sh"
  gpus=$(seq -s, "$((slot * $1))" "$((slot * $1 + $1 - 1))")
  (
    cd /
    {
      [ -n "$group" ] && echo 0 >"$group/cgroup.procs"
      echo -900 >/proc/self/oom_score_adj # the agent goes last; what it starts it exposes again
    } 2>/dev/null
    export OWNED_BY_AMASIA="$id"
    [ "$uid" = 0 ] && export HOME="$own" USER="$user" LOGNAME="$user"
    [ -n "$gpus" ] && export CUDA_VISIBLE_DEVICES="$gpus"
    unset SSH_CONNECTION SSH_CLIENT MAIL
    if [ "$uid" = 0 ]; then
      exec setsid setpriv --reuid "$user" --regid "$user" --init-groups --no-new-privs -- /bin/sh "$2" 9>&-
    fi
    exec setsid /bin/sh "$2" 9>&-
  ) </dev/null >/dev/null 2>"$record/errors" &
  pid=$! tries=0
  until grep -qzsaxF "OWNED_BY_AMASIA=$id" "/proc/$pid/environ"; do # it can be seen before the lock is given up
    kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 100 ] || break
    tries=$((tries + 1))
    sleep 0.02
  done
  write launched "$pid"
}

make_group() { # BYTES: $group, where the kernel counts memory for us and nobody inside can raise the limit
  group='' outer=''
  [ "$uid" = 0 ] || return 0
  if [ -w /sys/fs/cgroup/memory/tasks ]; then
    outer=/sys/fs/cgroup/memory/amasia/$id
    group=$outer
    mkdir -p "$outer" && echo "$1" >"$outer/memory.limit_in_bytes" && chown "$user" "$outer"
  elif [ -e /sys/fs/cgroup/cgroup.subtree_control ]; then
    outer=/sys/fs/cgroup/amasia/$id
    group=$outer/boot
    echo +memory >/sys/fs/cgroup/cgroup.subtree_control
    mkdir -p /sys/fs/cgroup/amasia && echo +memory >/sys/fs/cgroup/amasia/cgroup.subtree_control
    mkdir -p "$group" && echo +memory >"$outer/cgroup.subtree_control" && echo "$1" >"$outer/memory.max" &&
      chown "$user" "$outer" "$outer/cgroup.procs" "$group" "$group/cgroup.procs"
  else
    return 0
  fi 2>/dev/null || group=''
  [ -z "$outer" ] || write group "$outer"
}

# --- find -------------------------------------------------------------------------------------------------------

find_all() { # ["all"]: also drop what ended long ago
  field boot_id /proc/sys/kernel/random/boot_id
  line now "$(date +%s.%N)"
  [ "${1-}" = all ] && forget
  look
  for record in "$records"/*/; do
    record=${record%/} id=${record##*/}
    field its "$record/tag"
    [ "$its" = "$tag" ] || continue
    field ended "$record/ended"
    if [ -n "$ended" ]; then
      printf '%s\n' "$ended"
      continue
    fi
    field started "$record/started"
    if [ ! -e "$record/launched" ]; then
      line machine "$id" starting ''
    elif is_alive || { lock && look && is_alive; }; then # with the lock, as it may have begun after the first look
      line machine "$id" alive "$started"
    else
      bury
    fi
  done
}

bury() { # kill what is left of it, and write down its end, which is then final
  kill_all
  field its_user "$record/user"
  field its_own "$record/own"
  field born "$record/boot_id"
  how=dead
  [ -e "$record/stopped" ] && how=stopped
  [ "$born" = "$boot_id" ] || how=rebooted
  # shellcheck disable=SC2016
  told=$(as "$its_user" sh -c 'cd "$1" 2>/dev/null || exit 0
    stat -c %Y alive 2>/dev/null || echo
    tail -n 1 log 2>/dev/null | head -c 300 | tr "\t\n" "  "
    echo
    head -c 2000 exit.json 2>/dev/null | tr "\t\n" "  "' sh "$its_own/machines/$id")
  at=$(printf '%s\n' "$told" | sed -n 1p)
  [ -n "$at" ] || { [ "$how" = rebooted ] && at=$started; }
  field killed "$record/killed"
  at=${killed:-$at}
  said=$(printf '%s\n' "$told" | sed -n 2p)
  [ -n "$said" ] || said=$(head -n 1 "$record/errors" 2>/dev/null | head -c 300 | tr '\t' ' ')
  finish "$started" "${at:-$(date +%s.%N)}" "$how" "$said" "$(printf '%s\n' "$told" | sed -n 3p)"
  printf '%s\n' "$ended"
  field outer "$record/group"
  [ -n "$outer" ] && rmdir "$outer"/*/ "$outer" 2>/dev/null
}

finish() { # STARTED ENDED HOW SAID EXIT: $ended; the first word on it stays, where the disk can hold it
  ended=$(line machine "$id" dead "$@")
  printf '%s\n' "$ended" >"$record/.ended.$$" && ln "$record/.ended.$$" "$record/ended"
  rm -f "$record/.ended.$$"
  [ ! -s "$record/ended" ] || field ended "$record/ended"
} 2>/dev/null

forget() {
  find "$records" -mindepth 2 -maxdepth 2 -name ended -mmin +1440 2>/dev/null | while IFS= read -r path; do
    record=${path%/ended}
    id=${record##*/}
    field its_user "$record/user"
    field its_own "$record/own"
    [ -n "$its_own" ] && as "$its_user" rm -rf "$its_own/machines/$id"
    rm -rf "$record"
  done
}

# --- stop -------------------------------------------------------------------------------------------------------

stop() { # GRACE: ask, and after so many seconds make it
  make_root 2>/dev/null || return 0
  lock
  if [ ! -d "$record" ]; then # its start may be still under way
    mkdir "$record" && write tag "$tag" && true >"$record/stopped" && finish '' "$(date +%s.%N)" stopped '' ''
    return 0
  fi
  [ -e "$record/ended" ] && return 0
  [ -e "$record/stopped" ] || true >"$record/stopped" || set -- 0
  if [ ! -e "$record/launched" ]; then
    kill_all # its start may have been killed just after it began it
    finish '' "$(date +%s.%N)" stopped '' ''
    return 0
  fi
  asked=$(stat -c %Y "$record/stopped" 2>/dev/null || echo 0)
  if [ "$(($(date +%s) - asked))" -ge "$1" ]; then
    look
    is_alive && write killed "$(date +%s.%N)" # it lived until now: its watchdog, which says so, was told to end
    kill_all
    return 0
  fi
  field pid "$record/launched"
  for each in $(pids); do # the boot script and what it waits for; it ends the agent, and the agent its own
    [ "$(session "$each")" = "$pid" ] && kill -TERM "$each" 2>/dev/null
  done
  return 0
}

pids() { # of $id
  grep -zlsaxF "OWNED_BY_AMASIA=$id" /proc/[0-9]*/environ | cut -d/ -f3
}

session() { # PID
  field stat "/proc/$1/stat"
  # shellcheck disable=SC2086
  set -- ${stat##*) }
  echo "${4-}"
}

kill_all() { # whatever is left of $id, also what left its session
  field outer "$record/group"
  rounds=0
  while [ "$rounds" -lt 20 ]; do
    left="$(pids) $([ -n "$outer" ] && cat "$outer"/cgroup.procs "$outer"/*/cgroup.procs 2>/dev/null)"
    # shellcheck disable=SC2086
    set -- $left
    [ $# -gt 0 ] || return 0
    kill -KILL "$@" 2>/dev/null
    rounds=$((rounds + 1))
    sleep 0.05
  done
}

# --- other verbs ------------------------------------------------------------------------------------------------

console() {
  field its_user "$record/user"
  field its_own "$record/own"
  [ -n "$its_own" ] || return 0
  head -c 2000 "$record/errors" 2>/dev/null
  as "$its_user" tail -c 20000 "$its_own/machines/$id/log" 2>/dev/null
}

check() { # URL: what a machine needs, in lines of a name and what was found
  line now "$(date +%s.%N)"
  line login "$(id -un)"
  line cpus "$(getconf _NPROCESSORS_ONLN)"
  line memory "$(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo)"
  line arch "$(uname -m)"
  for tool in flock setsid pkill stat tail seq $([ "$uid" = 0 ] && echo setpriv useradd); do
    command -v "$tool" >/dev/null || line missing "$tool"
  done
  problem=$(make_root 2>&1) || { line root "$problem"; return; }
  line free "$(free)"
  make_user || { line user "$problem"; return; }
  line user ''
  exports
  line python "$(as "$user" env HOME="$own" sh -c "$pythons" 2>/dev/null)"
  line fetch "$(command -v curl || command -v wget || command -v python3)"
  line plane "$(as "$user" env HOME="$own" sh -c "$fetch" sh "$1" 2>&1 | tail -n 1 | tr '\t' ' ')"
  make_group 1 >/dev/null 2>&1
  line memory_group "$group"
  [ -n "$outer" ] && rmdir "$outer"/*/ "$outer" 2>/dev/null
}

# shellcheck disable=SC2016
pythons='cd /; for each in python3.14 python3.13 python3.12 python3; do
  "$each" -c "import sys; sys.version_info < (3, 12) and sys.exit(1); print(*sys.version_info[:2], sep=\".\")" 2>/dev/null && exit
done'
# shellcheck disable=SC2016
fetch='cd /; if command -v curl >/dev/null; then curl -fsS -o /dev/null --connect-timeout 5 --max-time 8 "$1" && echo ok
elif command -v wget >/dev/null; then wget -q -T 5 -t 1 -O /dev/null "$1" && echo ok
else python3 -c "import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=5); print(\"ok\")" "$1"; fi'

free() { # KiB
  df -Pk "$root" | sed -n '2s/^[^ ]* *[0-9]* *[0-9]* *\([0-9]*\).*/\1/p'
}

write() { # NAME TEXT: whole or not at all
  printf '%s\n' "$2" >"$record/.$1" && mv -f "$record/.$1" "$record/$1"
}

line() { # WORDS...
  printf '%s' "$1"
  shift
  [ $# -gt 0 ] && printf '\t%s' "$@"
  echo
}

answer() { # WORDS..., and nothing more is done
  line "$@"
  exit 0
}

main() {
  verb=$1 id=$2
  record=$records/$id
  shift 2
  case $verb in
    start) start "$@" ;;
    find) find_all "$@" ;;
    has) if [ -d "$record" ]; then echo yes; else echo no; fi ;;
    stop) stop "$@" ;;
    console) console ;;
    check) check "$@" ;;
  esac
  exit 0
}

main "$@" </dev/null
