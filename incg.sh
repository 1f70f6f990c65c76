D=/sys/fs/cgroup/memory/nsprobe-$1; mkdir -p $D; echo $(( $2 * 1048576 )) > $D/memory.limit_in_bytes; echo $$ > $D/cgroup.procs; shift 2; exec "$@"
