# Which fields this driver knows: one that it does not know makes the whole question fail, and names itself.
# Sets FIELDS, and ROWS to the first answer or WHY to what went wrong. Wants LIMITED, the words of a time limit.
ask_nvidia() {
    FIELDS=$1 ROWS= WHY=
    tries=0
    while [ "$tries" -lt 24 ]; do
        tries=$((tries + 1))
        ROWS=$($LIMITED nvidia-smi --query-gpu="$FIELDS" --format=csv,noheader,nounits 2>&1)
        code=$?
        case $ROWS in
            *'is not a valid field'*)
                bad=$(printf '%s\n' "$ROWS" | sed -n 's/.*Field "\([^"]*\)".*/\1/p' | head -n 1)
                old=$FIELDS
                case $bad in
                    clocks_event_reasons.active) new=clocks_throttle_reasons.active ;;
                    enforced.power.limit) new=power.limit ;;
                    clocks.current.sm) new=clocks.sm ;;
                    *) new= ;;
                esac
                FIELDS=$(printf '%s\n' "$FIELDS" | tr ',' '\n' | sed "s/^$bad\$/$new/" | sed '/^$/d' | tr '\n' ',')
                FIELDS=${FIELDS%,}
                [ "$FIELDS" != "$old" ] || break
                ;;
            *) break ;;
        esac
    done
    if [ "$code" -ne 0 ]; then
        WHY=$(printf '%s' "$ROWS" | tr '\n' ' ')
        [ "$code" -ne 124 ] || WHY='nvidia-smi does not answer'
        WHY=${WHY:-nvidia-smi ended with $code}
        ROWS=
    fi
}
