coord_host=${DMTCP_COORD_HOST:-$coord_host}
coord_port=${DMTCP_COORD_PORT:-$coord_port}
checkpoint_interval=${DMTCP_CHECKPOINT_INTERVAL:-$checkpoint_interval}
restart_dir=$DMTCP_RESTART_DIR
ckpt_dir=$DMTCP_CKPT_DIR
tmp_dir=$DMTCP_TMPDIR
coord_log=$DMTCP_COORD_LOGFILE
hostfile=
checking=()

while [ $# -gt 0 ]; do
  case $1 in
    --help)
      printf '%s\n' "$usage"
      exit 0
      ;;
    --no-strict-checking | --no-strict-uid-checking)
      checking=("$1")
      shift
      continue
      ;;
    -h | --host | --coord-host | -p | --port | --coord-port | -i | --interval) ;;
    -d | --restartdir | --ckptdir | -t | --tmpdir | --hostfile | --coord-logfile) ;;
    *)
      printf '%s\n' "$usage" >&2
      fail "unknown option $1"
      ;;
  esac
  [ $# -gt 1 ] || fail "option $1 needs a value"
  case $1 in
    -h | --host | --coord-host) coord_host=$2 ;;
    -p | --port | --coord-port) coord_port=$2 ;;
    -i | --interval) checkpoint_interval=$2 ;;
    -d | --restartdir) restart_dir=$2 ;;
    --ckptdir) ckpt_dir=$2 ;;
    -t | --tmpdir) tmp_dir=$2 ;;
    --hostfile) hostfile=$2 ;;
    --coord-logfile) coord_log=$2 ;;
  esac
  shift 2
done

if [ -n "$given_ckpt_files" ]; then
  add_host '' bg '' $given_ckpt_files
fi
while IFS=: read -r before between name mode files shell; do
  case $before$between$name in *[![:space:]]*) ;; *) continue ;; esac
  [ -z "${before//[[:space:]]/}$between" ] || fail 'a line of worker_ckpts does not begin with ::'
  add_host $name "${mode//[[:space:]]/}" "${shell//[[:space:]]/}" $files
done <<<"$worker_ckpts"
hosts=${#host_names[@]}
[ "$hosts" -gt 0 ] || fail 'no image is named'

if [ -n "$hostfile" ]; then
  [ -f "$hostfile" ] || fail "no host file $hostfile"
  host_names=()
  while read -r name rest || [ -n "$name" ]; do
    name=${name%%#*}
    name=${name%$'\r'}
    [ -z "$name" ] || host_names+=("$name")
  done <"$hostfile"
  [ "${#host_names[@]}" -ge "$hosts" ] ||
    fail "$hostfile names ${#host_names[@]} hosts, and images of $hosts are to be restarted"
fi

command -v -- "$dmt_rstr_cmd" >/dev/null || dmt_rstr_cmd=dmtcp_restart

options=() join=()
[ -z "$coord_host" ] || options+=(--coord-host "$coord_host")
options+=(--coord-port "$coord_port")
[ -z "$ckpt_dir" ] || options+=(--ckptdir "$ckpt_dir")
case $checkpoint_interval in
  -*) ;;
  *)
    options+=(--interval "$checkpoint_interval")
    export DMTCP_CHECKPOINT_INTERVAL=$checkpoint_interval
    ;;
esac
[ -z "$tmp_dir" ] || options+=(--tmpdir "$tmp_dir")
options+=("${checking[@]}")
[ -z "$coord_log" ] || options+=(--coord-logfile "$coord_log")

# restart_of FILE...: the command that restarts these images, in `restart`.
restart_of() {
  local image
  restart=("$dmt_rstr_cmd" "${options[@]}" "${join[@]}")
  for image; do
    [ -z "$restart_dir" ] || image=$restart_dir/${image##*/}
    case $image in -*) image=./$image ;; esac
    restart+=("$image")
  done
}

if [ "$hosts" -eq 1 ] && [ -z "$hostfile" ]; then
  restart_of "${images[@]}"
  exec "${restart[@]}"
fi

here=$(uname -n)
here_in_full=$(hostname -f 2>/dev/null)
addresses=$(hostname -I 2>/dev/null)
is_here() {
  case $1 in '' | localhost | 127.0.0.1 | "$here" | "$here_in_full") return 0 ;; esac
  case " $addresses " in *" $1 "*) return 0 ;; esac
  return 1
}

# What a remote shell is given: every word in quotation marks, since it is read by a shell again.
mark="'" quoted_mark="'\"'\"'"
remote_command() {
  local word line=exec
  for word in "${restart[@]}"; do
    line+=" '${word//$mark/$quoted_mark}'"
  done
  remote=$line
}

jobs=() local_images=() foreground=()
for ((host = 0; host < hosts; host++)); do
  name=${host_names[host]} mode=${host_modes[host]}
  files=("${images[@]:host_first[host]:host_count[host]}")
  if is_here "$name"; then
    local_images+=("${files[@]}")
    continue
  fi
  case $name in -*) fail "host name $name looks like an option" ;; esac
  shell=${host_shells[host]:-$remote_shell_cmd}
  join=(--join-coordinator)
  restart_of "${files[@]}"
  remote_command
  case $mode in
    bg)
      "$shell" "$name" "$remote" </dev/null &
      jobs+=($!)
      ;;
    xterm)
      xterm -e "$shell" -t "$name" "$remote" &
      jobs+=($!)
      ;;
    fg)
      [ "${#foreground[@]}" -eq 0 ] || fail 'more than one host is in mode fg'
      foreground=("$shell" -t "$name" "$remote")
      ;;
  esac
done

status=0
if [ "${#local_images[@]}" -gt 0 ]; then
  restart_of "${local_images[@]}"
  if [ "${#foreground[@]}" -gt 0 ]; then
    "${restart[@]}" </dev/null &
    jobs+=($!)
  else
    foreground=("${restart[@]}")
  fi
fi
if [ "${#foreground[@]}" -gt 0 ]; then
  "${foreground[@]}" || status=$?
fi
for job in "${jobs[@]}"; do
  wait "$job" || status=$?
done
exit "$status"
