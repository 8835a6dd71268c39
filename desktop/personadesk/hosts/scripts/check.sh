# Facts about this machine, a word and its value a line; nothing is changed. $1 is our folder or nothing, $2 the model
# hub's address, $3 the fields asked of nvidia-smi.
say() { printf '%s\n' "$*"; }
LIMITED=
if command -v timeout >/dev/null 2>&1; then LIMITED='timeout 4'; fi
home=${HOME:-$(cd && pwd)}
folder=${1:-$home/.personadesk}

gpus() {
    command -v nvidia-smi >/dev/null 2>&1 || { say gpu_reason nvidia-smi is not installed; return; }
    ask_nvidia "$1"
    if [ -n "$WHY" ]; then say "gpu_reason nvidia: $WHY"; return; fi
    say "gpu_fields $FIELDS"
    printf '%s\n' "$ROWS" | sed 's/^/gpu /'
    $LIMITED nvidia-smi -L 2>/dev/null | sed -n 's/^ *\(GPU [0-9]*\):.*/gpu_part_of \1/p;s/^ *MIG \([^ ]*\) .*/gpu_part \1/p'
    $LIMITED nvidia-smi 2>/dev/null | sed -n 's/.*CUDA Version: *\([0-9.]*\).*/cuda \1/p'
}

registry() {
    for each in "$python" python3 python; do
        [ -n "$each" ] || continue
        "$each" -c 'import pip' 2>/dev/null || continue
        said=$($LIMITED "$each" -m pip index versions pip --timeout 3 --retries 0 --disable-pip-version-check 2>&1)
        code=$?
        case $code in
            0) say registry yes ;;
            124) say registry unknown ;;
            *) case $said in
                *'unknown command'* | *'no such option'*) say registry unknown ;;
                *) say registry no ;;
            esac ;;
        esac
        return
    done
    say registry unknown
}

hub() {
    if command -v curl >/dev/null 2>&1; then
        curl -sS -o /dev/null -m 3 "$1" 2>/dev/null
    elif command -v wget >/dev/null 2>&1; then
        wget -q -T 3 -t 1 -O /dev/null "$1" 2>/dev/null
        # 8: the hub did answer, with an error of its own.
        case $? in 0 | 8) true ;; *) false ;; esac
    else
        say hub unknown
        return
    fi && say hub yes || say hub no
}

say system "$(uname -s)"
say machine "$(uname -m)"
say kernel "$(uname -r)"
say user "$(id -un 2>/dev/null || id -u)"
say uid "$(id -u)"
say home "$home"
python=
for each in python3.11 python3.12 python3.13 python3.14 python3 /opt/conda/bin/python /venv/main/bin/python; do
    command -v "$each" >/dev/null 2>&1 || continue
    "$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
    python=$each
    break
done
(gpus "$3") &
(registry) &
(hub "${HF_ENDPOINT:-$2}") &

(
    . /etc/os-release 2>/dev/null
    say distribution "$PRETTY_NAME"
)
libc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || libc=$(ldd --version 2>&1 | head -n 1)
say libc "$libc"
say cores "$(getconf _NPROCESSORS_ONLN 2>/dev/null || nproc 2>/dev/null)"
sed -n 's/^\(MemTotal\|MemAvailable\): */memory \1 /p' /proc/meminfo 2>/dev/null
for each in max current; do
    [ -r "/sys/fs/cgroup/memory.$each" ] && say memory_limit "$each" "$(cat "/sys/fs/cgroup/memory.$each")"
done

seen=' '
for each in python3.11 python3.12 python3.13 python3.14 python3 python /usr/bin/python3 /usr/local/bin/python3 \
    /opt/conda/bin/python /venv/main/bin/python "$home/miniconda3/bin/python" "$home/.local/bin/python3"; do
    path=$(command -v "$each" 2>/dev/null) || continue
    case $path in */shims/*) continue ;; esac
    real=$(readlink -f "$path" 2>/dev/null || echo "$path")
    case $path in */bin/python*) key=${path%/*}:$real ;; *) key=$real ;; esac
    case $seen in *" $key "*) continue ;; esac
    seen="$seen$key "
    "$path" -I -c '
import importlib.util as u, re, sys
torch = cuda = ""
spec = u.find_spec("torch")
if spec and spec.origin:
    try:
        text = open(spec.origin.replace("__init__", "version")).read()
        torch = (re.search(r"^__version__\s*=\s*.(.*?).$", text, re.M) or ["", ""])[1]
        cuda = (re.search(r"^cuda[^=]*=\s*[\x22\x27](.*?)[\x22\x27]", text, re.M) or ["", ""])[1]
    except OSError:
        pass
print("python", sys.executable, "%d.%d.%d" % sys.version_info[:3], "venv" if u.find_spec("venv") else "-",
      "pip" if u.find_spec("pip") else "ensurepip" if u.find_spec("ensurepip") else "-", torch or "-", cuda or "-")
' 2>/dev/null
done

for each in "$folder" /workspace /notebooks /storage; do
    there=$each
    while [ ! -d "$there" ] && [ "$there" != / ]; do there=$(dirname "$there"); done
    case $each in
        "$folder") ;;
        *) [ "$there" = "$each" ] || continue ;;
    esac
    set -- $(df -Pk "$there" 2>/dev/null | sed -n 2p)
    [ "$#" -ge 6 ] || continue
    shift $(($# - 6))
    options=$(sed -n "s|^[^ ]* $6 [^ ]* \([^ ]*\) .*|\1|p" /proc/mounts 2>/dev/null | tail -n 1)
    case ",$options," in *,noexec,*) runs=noexec ;; *) runs=exec ;; esac
    if [ -w "$there" ]; then writes=writable; else writes=-; fi
    say place "$4" "$writes" "$runs" "$6" "$each"
done

sed -n 's/^ *[0-9]*: [0-9A-F]*:\([0-9A-F]*\) [0-9A-F:]* 0A .*/port \1/p' /proc/net/tcp /proc/net/tcp6 2>/dev/null | sort -u

if [ -n "$PERSONADESK_REHEARSAL_MACHINE" ]; then
    # A pretend machine has a table of its own; the computer's systemd and cron are not its.
    say cron yes
elif [ -d /run/systemd/system ]; then
    say systemd yes
    export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
    $LIMITED systemctl --user show-environment >/dev/null 2>&1 && say user_units yes
    [ -e "/var/lib/systemd/linger/$(id -un)" ] && say lingers yes
fi
if [ -z "$PERSONADESK_REHEARSAL_MACHINE" ] && command -v crontab >/dev/null 2>&1; then
    for each in /proc/[0-9]*/comm; do
        read -r name 2>/dev/null <"$each" || continue
        case $name in cron | crond | busybox-cron) say cron yes; break ;; esac
    done
fi

kind=
[ -e /.dockerenv ] && kind='container docker'
[ -e /run/.containerenv ] && kind='container podman'
[ -n "$kind" ] || case $(cat /proc/1/cgroup 2>/dev/null) in
    *docker* | *kubepods* | *containerd*) kind='container docker' ;;
    *lxc*) kind='container lxc' ;;
esac
[ -n "$kind" ] || { virt=$(systemd-detect-virt --container 2>/dev/null) && kind="container $virt"; }
[ -n "$kind" ] || { virt=$(systemd-detect-virt --vm 2>/dev/null) && kind="vm $virt"; }
[ -n "$kind" ] || { grep -q '^flags.* hypervisor' /proc/cpuinfo 2>/dev/null &&
    kind="vm $(cat /sys/class/dmi/id/product_name 2>/dev/null)"; }
say kind "${kind:-machine}"

for each in curl wget tar uv git sha256sum setsid; do
    command -v "$each" >/dev/null 2>&1 && say tool "$each"
done

if [ -d "$folder/versions" ]; then
    say install "$folder"
    [ -L "$folder/current" ] && say install_version "$(basename "$(readlink "$folder/current")")"
    for each in "$folder"/versions/*/complete.json; do
        [ -e "$each" ] && say install_has "$(basename "$(dirname "$each")")"
    done
    for each in "$folder"/servers/*/supervisor.json; do
        pid=$(sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' "$each" 2>/dev/null | head -n 1)
        [ -n "$pid" ] && kill -s 0 "$pid" 2>/dev/null && say install_runs "$pid"
    done
fi
say now "$(date +%s.%N)"
wait
say end
