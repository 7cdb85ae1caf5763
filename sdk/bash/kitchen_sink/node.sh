#!/usr/bin/env bash
# The kitchen sink: one node that does, on demand, what the conformance cases look at and bash can do.
. "${BASH_SOURCE[0]%/*}/../nodeling.sh"

echo "kitchen sink imported" # a node that prints while it is loaded must hurt nobody

run() {
  nodeling_input do || return
  if ! declare -F "do_$REPLY" >/dev/null; then
    nodeling_fail 4000 "it cannot do '$REPLY'"
    return
  fi
  "do_$REPLY"
}

value() { # what the input's `value` is, as JSON
  nodeling_members "$NODELING_INPUT"
  REPLY=${MEMBERS[value.]:-null}
}

do_echo() {
  value
  nodeling_output "$REPLY"
}

do_sum() {
  nodeling_input values || return
  local number total=0 fraction=0
  for number in ${REPLY//[][,]/ }; do # whole numbers and halves, which is what bash can add
    [[ $number == *.5 ]] && ((fraction += 1))
    ((total += ${number%.*}))
  done
  ((total += fraction / 2))
  ((fraction % 2)) && total+=.5
  nodeling_output "$total"
}

do_sleep() {
  nodeling_input ms || return
  nodeling_log info started
  sleep "$((REPLY / 1000)).$(printf '%03d' $((REPLY % 1000)))"
  do_echo
}

do_fail() {
  local code message retryable details
  nodeling_input message failed && message=$REPLY
  nodeling_input code 4000 && code=$REPLY
  nodeling_input retryable '' && retryable=$REPLY
  nodeling_input details '' && details=$REPLY
  nodeling_fail "$code" "$message" "$retryable" "$details"
}

do_crash() {
  nodeling_input signal '' && [[ -n $REPLY ]] && kill -s "$REPLY" $$ && sleep 10
  nodeling_input exit && exit "$REPLY"
}

do_print() {
  local text how times index
  nodeling_input text && text=$REPLY
  nodeling_input how && how=$REPLY
  nodeling_input times 1 && times=$REPLY
  for ((index = 0; index < times; index += 1)); do
    case $how in
      line | native) printf '%s\n' "$text" ;;
      stderr) printf '%s' "$text" >&2 ;;
      *) printf '%s' "$text" ;;
    esac
  done
  nodeling_output "$times"
}

letters() { head -c "$1" /dev/zero | tr '\0' "$2"; }

do_spawn_print() {
  local lines bytes
  nodeling_input lines && lines=$REPLY
  nodeling_input bytes && bytes=$REPLY
  bash -c 'for ((n = 0; n < $1; n += 1)); do printf "grandchild %d %080d\n" "$n" 0; done' bash "$lines"
  nodeling_output "{\"text\":\"$(letters "$bytes" y)\",\"exit\":0}"
}

do_big() {
  nodeling_input bytes || return
  nodeling_output "\"$(letters "$REPLY" z)\""
}

do_progress() {
  local times index
  nodeling_input times && times=$REPLY
  for ((index = 1; index <= times; index += 1)); do nodeling_progress "$index" "$times" working; done
  nodeling_output "$times"
}

do_read_stdin() { nodeling_output "{\"native\":\"$(cat)\"}"; }

do_leak_child() {
  nodeling_input seconds || return
  sleep "$REPLY" &
  nodeling_output $!
}

do_work_dir() {
  printf here >"$NODELING_WORK_DIR/made.txt"
  nodeling_output_text "$NODELING_WORK_DIR"
}

do_metric() {
  local name
  nodeling_input name && name=$REPLY
  nodeling_input value && nodeling_metric "$name" "$REPLY"
}

nodeling_serve run
