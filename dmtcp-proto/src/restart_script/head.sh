#!/bin/bash
# Restarts a computation from one checkpoint. Written by dmtcp-rs.
# The lines with names and values may be edited.

usage='Usage: dmtcp_restart_script.sh [OPTION]...
Restarts a computation from the checkpoint that this script belongs to.

  -h, --coord-host HOST   the coordinator is there ($DMTCP_COORD_HOST)
  -p, --coord-port PORT   and listens there ($DMTCP_COORD_PORT)
  -i, --interval SECONDS  time between checkpoints ($DMTCP_CHECKPOINT_INTERVAL)
  -d, --restartdir DIR    the images are there now ($DMTCP_RESTART_DIR)
      --ckptdir DIR       new images go there ($DMTCP_CKPT_DIR)
  -t, --tmpdir DIR        temporary files go there ($DMTCP_TMPDIR)
      --hostfile FILE     hosts to restart on, one a line, # begins a comment
      --no-strict-checking
                          restart images of another user, too
      --coord-logfile FILE
                          log of a coordinator that is started
                          ($DMTCP_COORD_LOGFILE)
      --help              print this and exit

An option counts more than its variable, which counts more than the script.'

fail() {
  printf '%s: %s\n' "$0" "$1" >&2
  exit 2
}

set -f
unset given_ckpt_files worker_ckpts
host_names=() host_modes=() host_shells=() host_first=() host_count=() images=()

# add_host NAME MODE SHELL FILE...
add_host() {
  case $2 in bg | fg | xterm) ;; *) fail "mode $2 is none of bg, fg and xterm" ;; esac
  case $3 in '' | ssh | rsh) ;; *) fail "remote shell $3 is neither ssh nor rsh" ;; esac
  [ $# -gt 3 ] || fail "host $1 has no image"
  host_names+=("$1") host_modes+=("$2") host_shells+=("$3") host_first+=("${#images[@]}")
  shift 3
  host_count+=($#)
  images+=("$@")
}

# The images of one host, where the names have blanks or marks in them.
host_ckpts() {
  add_host "$@"
}
