# Figures, once every $1 seconds: a letter, then what the system says. $2 is a folder whose disk is watched, $3 are
# the fields asked of nvidia-smi, every $4 whole seconds.
every=$1 folder=$2
LIMITED=
if command -v timeout >/dev/null 2>&1; then LIMITED='timeout 10'; fi
if command -v nvidia-smi >/dev/null 2>&1; then
    (
        while :; do
            ask_nvidia "$3"
            if [ -n "$WHY" ]; then
                printf 'X %s\n' "$WHY" || exit
            else
                printf 'F %s\n' "$FIELDS" || exit
                nvidia-smi --query-gpu="$FIELDS" --format=csv,noheader,nounits -l "$4" 2>&1 |
                    while IFS= read -r line; do printf 'G %s\n' "$line" || exit; done
                printf 'X nvidia-smi has ended\n' || exit
            fi
            sleep 5
        done
    ) &
else
    printf 'X nvidia-smi is not installed\n'
fi
count=0
while :; do
    read -r up rest </proc/uptime
    read -r cpu </proc/stat
    read -r load rest </proc/loadavg
    printf 'C %s\nL %s\n' "$cpu" "$load" || exit
    sed -n 's/^\(MemTotal\|MemAvailable\): */M \1 /p' /proc/meminfo
    sed -n 's/^ *\([^:]*\): */N \1 /p' /proc/net/dev
    sed 's/^/D /' /proc/diskstats 2>/dev/null
    for name in max current; do
        [ -r "/sys/fs/cgroup/memory.$name" ] && sed "s/^/K $name /" "/sys/fs/cgroup/memory.$name"
    done
    if [ "$count" -eq 0 ]; then df -Pk "$folder" 2>/dev/null | sed -n '2s/^/V /p'; fi
    count=$(((count + 1) % 15))
    printf 'T %s\n' "$up" || exit
    sleep "$every"
done
