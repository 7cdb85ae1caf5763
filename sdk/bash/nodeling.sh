# shellcheck shell=bash disable=SC2034
# nodeling for bash: serves one node over NSP/1 (docs/reference/protocol.md), one call after the other.
#
#     . ./nodeling.sh
#     run() { nodeling_input text || return; nodeling_output_text "${REPLY^^}"; }
#     nodeling_serve run
#
# Bash 4.4 and later, no other program. Functions that find something put it into REPLY, and the others
# leave it alone. What the node prints is a log; its standard input is empty. `return 1` from the function fails the call.

NODELING_SDK_VERSION=0.1.0
NODELING_MAX_FRAME=16777216

# --- For nodes ----------------------------------------------------------------------------------------

# nodeling_input NAME [DEFAULT]: a member of the input; texts without their quotes, all else as JSON.
nodeling_input() {
  if nodeling__member "$NODELING_INPUT" "$1"; then
    nodeling_text "$REPLY"
  elif (($# > 1)); then
    REPLY=$2
  else
    nodeling_fail 4001 "the input has no '$1'" false
  fi
}

# nodeling_var NAME, nodeling_config NAME, nodeling_secret NAME: likewise; 1 when there is none.
nodeling_var() { nodeling__of "$NODELING__VARS" "$1"; }
nodeling_config() { nodeling__of "$NODELING__CONFIG" "$1"; }
nodeling_secret() { nodeling__of "$NODELING__SECRETS" "$1"; }

# nodeling_output JSON, nodeling_output_text TEXT: what the call gives; without either it is null.
nodeling_output() { NODELING__OUTPUT=$1; }
nodeling_output_text() {
  local REPLY
  nodeling_quote "$1"
  NODELING__OUTPUT=$REPLY
}

# nodeling_fail CODE MESSAGE [RETRYABLE [DETAILS]]: say which error it is; returns 1, so it can end the function.
nodeling_fail() {
  local REPLY data='"type":"NodeError"' code=$1 message=$2
  if [[ ! $code =~ ^-?[0-9]+$ ]]; then
    nodeling_quote "$code"
    data+=",\"code\":$REPLY"
    code=4000
  elif ((code >= 9000 && code <= 9999)); then # those are the host's
    code=4000
  fi
  [[ ${3:-} == true || ${3:-} == false ]] && data+=",\"retryable\":$3"
  [[ -n ${4:-} ]] && data+=",\"details\":$4"
  nodeling_quote "$message"
  NODELING__ERROR="{\"code\":$code,\"message\":$REPLY,\"data\":{$data}}"
  return 1
}

# nodeling_set NAME JSON, nodeling_delete NAME: write the run's variables; seen by later steps.
nodeling_set() {
  local REPLY
  nodeling_quote "$1"
  NODELING__SET+="${NODELING__SET:+,}$REPLY:$2"
}
nodeling_delete() {
  local REPLY
  nodeling_quote "$1"
  NODELING__DELETED+="${NODELING__DELETED:+,}$REPLY"
}

# nodeling_metric NAME NUMBER
nodeling_metric() {
  local REPLY
  nodeling_quote "$1"
  NODELING__METRICS+="${NODELING__METRICS:+,}$REPLY:$2"
}

# nodeling_log LEVEL MESSAGE: debug, info, warning or error.
nodeling_log() {
  local REPLY
  local -A rank=([debug]=0 [info]=1 [warning]=2 [error]=3)
  [[ $NODELING__FEATURES == *'"log"'* ]] || return 0
  ((${rank[$1]:-1} < ${rank[$NODELING__LEVEL]:-1})) && return 0
  nodeling_quote "$2"
  nodeling__say "{\"jsonrpc\":\"2.0\",\"method\":\"node/log\",\"params\":{\"id\":$NODELING__ID,\"level\":\"$1\",\"message\":$REPLY}}"
}

# nodeling_progress DONE [TOTAL [MESSAGE]]: at most ten a second are sent, and the last one.
nodeling_progress() {
  [[ $NODELING__WANTS_PROGRESS == true && $NODELING__FEATURES == *'"progress"'* ]] || return 0
  local REPLY
  NODELING__PROGRESS="\"progress\":$1${2:+,\"total\":$2}"
  if [[ -n ${3:-} ]]; then
    nodeling_quote "$3"
    NODELING__PROGRESS+=",\"message\":$REPLY"
  fi
  local now=${EPOCHREALTIME/[.,]/}
  ((now >= NODELING__PROGRESS_DUE)) || return 0
  ((NODELING__PROGRESS_DUE = now + 100000))
  nodeling__flush_progress
}

# nodeling_quote TEXT: the text as JSON.
nodeling_quote() {
  local text=$1 code byte # replacing costs bash its square on long texts, so it is done only where there is need
  [[ $text == *\\* ]] && text=${text//\\/"\\\\"}
  byte=\" code='\"'
  [[ $text == *"$byte"* ]] && text=${text//"$byte"/"$code"}
  if [[ $text == *[$'\x01'-$'\x1f']* ]]; then
    for code in 1 2 3 4 5 6 7 8 9 a b c d e f 10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f; do
      printf -v byte '%b' "\\x$code"
      [[ $text == *"$byte"* ]] && printf -v code '\\u%04x' "0x$code" && text=${text//"$byte"/"$code"}
    done
  fi
  REPLY="\"$text\""
}

# nodeling_text JSON: a text without its quotes and escapes; anything else as it is.
nodeling_text() {
  REPLY=$1
  [[ $REPLY == \"* ]] || return 0
  REPLY=${REPLY:1:${#REPLY}-2}
  [[ $REPLY == *\\* ]] || return 0
  local rest=$REPLY found='' # an escaped backslash begins no other escape, so the text is cut there first
  while [[ $rest == *\\\\* ]]; do
    nodeling__unescape "${rest%%\\\\*}"
    found+=$REPLY\\
    rest=${rest#*\\\\}
  done
  nodeling__unescape "$rest"
  REPLY=$found$REPLY
}

nodeling__unescape() {
  local high low whole text=$1
  [[ $text == *\\/* ]] && text=${text//\\\//\/}
  [[ $text == *\\\"* ]] && text=${text//\\\"/\"} # printf keeps the backslash of this one
  while [[ $text =~ \\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2}) ]]; do
    high=$((16#${BASH_REMATCH[1]} - 0xd800)) low=$((16#${BASH_REMATCH[2]} - 0xdc00))
    printf -v whole '\\U%08x' $((0x10000 + high * 1024 + low))
    text=${text//"${BASH_REMATCH[0]}"/"$whole"}
  done
  printf -v REPLY '%b' "$text"
}

# --- JSON: the members of one object ------------------------------------------------------------------

# nodeling_members JSON: fills MEMBERS with the object's members as JSON; 1 when it is no whole object.
# The text is cut at its quotes, so what stands inside of texts is never looked at letter by letter.
nodeling_members() {
  declare -gA MEMBERS=()
  local LC_ALL=C text=$1 part key='' chunk letter
  local -i depth=0 at=0 begin=-1 from=0 inside=0 offset index
  local -a parts
  [[ $text =~ ^[[:space:]]*\{ ]] || return 1
  mapfile -d '"' -t parts <<<"$text"
  local -i last=$((${#parts[@]} - 1))
  for index in "${!parts[@]}"; do
    part=${parts[index]}
    if ((inside)); then
      if [[ $part == *\\ ]] && nodeling__is_escaped "$part"; then # the quote behind it is one of the text
        at+=$((${#part} + 1))
        continue
      fi
      inside=0
      ((depth == 1 && begin < 0)) && key=${text:from:at+${#part}-from}
    else
      for ((offset = 0; offset < ${#part}; offset += 256)); do
        chunk=${part:offset:256}
        ((depth > 1)) && [[ $chunk != *[][{}]* ]] && continue
        nodeling__walk $((at + offset)) || return 1
      done
      inside=1 from=$((at + ${#part} + 1))
    fi
    at+=$((${#part} + 1))
  done
  ((depth == 0 && inside && index == last)) # the piece behind the last quote is no text
}

nodeling__is_escaped() { # PART: whether an odd number of backslashes ends it
  local -i end=${#1} count=0
  while ((end > 0)) && [[ ${1:end-1:1} == \\ ]]; do ((end -= 1, count += 1)); done
  ((count % 2))
}

nodeling__walk() { # the structure in one piece; works on the variables of nodeling_members
  local -i place=$1 step
  for ((step = 0; step < ${#chunk}; step += 1)); do
    letter=${chunk:step:1}
    case $letter in
      '{' | '[') depth+=1 ;;
      '}' | ']')
        ((depth == 1)) && nodeling__keep $((place + step))
        depth+=-1
        ;;
      ':') ((depth == 1 && begin < 0)) && begin=$((place + step + 1)) ;;
      ',') ((depth == 1)) && nodeling__keep $((place + step)) ;;
      ' ' | $'\t' | $'\n' | $'\r') ;;
      *) ((depth)) || return 1 ;;
    esac
  done
  return 0
}

nodeling__keep() { # the value that ends here
  ((begin < 0)) && return
  local value=${text:begin:$1-begin}
  [[ $value == [[:space:]]* ]] && value=${value#"${value%%[![:space:]]*}"}
  [[ $value == *[[:space:]] ]] && value=${value%"${value##*[![:space:]]}"}
  MEMBERS[$key.]=$value # bash has no empty keys
  begin=-1
}

nodeling__member() { # JSON NAME: the member as JSON; 1 when there is none
  nodeling_members "$1" || return 1
  [[ -v MEMBERS[$2.] ]] || return 1
  REPLY=${MEMBERS[$2.]}
}

nodeling__of() {
  nodeling__member "$1" "$2" && nodeling_text "$REPLY"
}

# --- The protocol -------------------------------------------------------------------------------------

nodeling__say() { printf '%s\n' "$1" >&"$NODELING__OUT" || exit 1; }

nodeling__refuse() { # ID CODE MESSAGE [DATA]
  local id=$1 data=${4:-}
  nodeling_quote "$3"
  nodeling__say "{\"jsonrpc\":\"2.0\",\"id\":$id,\"error\":{\"code\":$2,\"message\":$REPLY,\"data\":{\"type\":\"ProtocolError\"$data}}}"
}

nodeling__flush_progress() {
  [[ -n $NODELING__PROGRESS ]] || return 0
  nodeling__say "{\"jsonrpc\":\"2.0\",\"method\":\"node/progress\",\"params\":{\"id\":$NODELING__ID,$NODELING__PROGRESS}}"
  NODELING__PROGRESS=
}

nodeling__hello() { # ID PARAMS
  local id=$1 limits name version
  nodeling_members "$2" || return
  if [[ ! ${MEMBERS[protocol.]:-} =~ [[,][[:space:]]*1[[:space:]]*[],] ]]; then
    nodeling__refuse "$id" 4100 "this node speaks protocol 1" ',"supported":[1]'
    return
  fi
  NODELING__FEATURES=${MEMBERS[features.]:-} limits=${MEMBERS[limits.]:-}
  nodeling_text "${MEMBERS[log_level.]:-info}"
  NODELING__LEVEL_OF_ALL=$REPLY
  nodeling__member "$limits" max_frame_bytes && [[ $REPLY =~ ^[1-9][0-9]{0,9}$ ]] && NODELING_MAX_FRAME=$REPLY
  nodeling_quote "$NODELING__NAME"
  name=$REPLY
  nodeling_quote "$NODELING__VERSION"
  version=$REPLY
  nodeling__say "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"protocol\":1,\"node\":{\"name\":$name,\"version\":$version},\"sdk\":{\"name\":\"nodeling\",\"version\":\"$NODELING_SDK_VERSION\",\"language\":\"bash\"},\"features\":[\"drain\",\"log\",\"progress\"],\"max_concurrency\":1}}"
}

nodeling__invoke() { # ID PARAMS HANDLER
  local context meta status=0 handler=$3
  NODELING__ID=$1 NODELING__OUTPUT=null NODELING__ERROR='' NODELING__SET='' NODELING__DELETED='' NODELING__METRICS=''
  NODELING__PROGRESS='' NODELING__PROGRESS_DUE=0 NODELING__WANTS_PROGRESS='' NODELING__LEVEL=$NODELING__LEVEL_OF_ALL
  nodeling_members "$2"
  local part
  for part in config secrets context _meta; do
    [[ ${MEMBERS[$part.]:-null} == [n{]* ]] && continue
    nodeling__refuse "$1" -32602 "$part has the wrong type"
    return
  done
  NODELING_INPUT=${MEMBERS[input.]:-null} NODELING_DEADLINE=${MEMBERS[deadline.]:-}
  NODELING__CONFIG=${MEMBERS[config.]:-} NODELING__SECRETS=${MEMBERS[secrets.]:-} NODELING__VARS=''
  context=${MEMBERS[context.]:-} meta=${MEMBERS[_meta.]:-}
  nodeling_text "${MEMBERS[node.]:-}"
  if [[ -n $NODELING__NAME && -n $REPLY && $REPLY != "$NODELING__NAME" ]]; then
    nodeling__refuse "$1" 4004 "this process runs '$NODELING__NAME', not '${REPLY:0:200}'" ',"started":false'
    return
  fi
  if [[ $NODELING_DEADLINE =~ ^[0-9]+ ]] && ((BASH_REMATCH[0] <= ${EPOCHREALTIME/[.,]/} / 1000)); then
    nodeling__refuse "$1" 5004 "the deadline had passed when the call arrived" ',"started":false'
    return
  fi
  if nodeling_members "$meta"; then
    NODELING__WANTS_PROGRESS=${MEMBERS[progress.]:-}
    nodeling_text "${MEMBERS[log_level.]:-$NODELING__LEVEL}"
    NODELING__LEVEL=$REPLY
  fi
  nodeling__context "$context"
  "$handler" "$NODELING_INPUT" </dev/null || status=$?
  nodeling__flush_progress
  nodeling__answer "$status"
}

nodeling__context() { # JSON
  nodeling_members "$1" || MEMBERS=()
  NODELING__VARS=${MEMBERS[vars.]:-} NODELING_ATTEMPT=${MEMBERS[attempt.]:-1}
  local name
  for name in run_id step idempotency_key work_dir; do
    nodeling_text "${MEMBERS[$name.]:-}"
    printf -v "NODELING_${name^^}" '%s' "$REPLY"
  done
  [[ -n $NODELING_WORK_DIR ]] && mkdir -p -m 700 "$NODELING_WORK_DIR"
}

nodeling__answer() { # STATUS
  local body
  if [[ -n $NODELING__ERROR ]]; then
    body="\"error\":$NODELING__ERROR"
  elif (($1)); then
    body="\"error\":{\"code\":4000,\"message\":\"its function ended with $1\",\"data\":{\"type\":\"ExitStatus\"}}"
  else
    body="\"result\":{\"output\":$NODELING__OUTPUT"
    [[ -n $NODELING__SET ]] && body+=",\"vars\":{$NODELING__SET}"
    [[ -n $NODELING__DELETED ]] && body+=",\"deleted\":[$NODELING__DELETED]"
    [[ -n $NODELING__METRICS ]] && body+=",\"metrics\":{$NODELING__METRICS}"
    body+="}"
    [[ $body == *$'\n'* ]] && body=${body//$'\n'/ } # JSON may be written on many lines, a frame may not
  fi
  local frame="{\"jsonrpc\":\"2.0\",\"id\":$NODELING__ID,$body}"
  if ((${#frame} * 4 > NODELING_MAX_FRAME)); then
    local LC_ALL=C # counts bytes
    ((${#frame} > NODELING_MAX_FRAME)) && frame="{\"jsonrpc\":\"2.0\",\"id\":$NODELING__ID,\"error\":{\"code\":4005,\"message\":\"the answer is over the cap of $NODELING_MAX_FRAME bytes\",\"data\":{\"type\":\"NodeError\",\"retryable\":false}}}"
  fi
  nodeling__say "$frame"
}

nodeling__frame() { # LINE HANDLER
  local line=$1 id method params
  if ! nodeling_members "$line"; then
    if [[ $line =~ ^[[:space:]]*\[ ]]; then
      nodeling__refuse null -32600 "a frame is one object"
    else
      nodeling__refuse null -32700 "the line is no JSON object"
    fi
    return
  fi
  id=${MEMBERS[id.]:-} params=${MEMBERS[params.]-'{}'}
  [[ $id =~ ^(-?[0-9]+|\".*\")$ ]] || id=${id:+null}
  if [[ ${MEMBERS[jsonrpc.]:-} != '"2.0"' || ${MEMBERS[method.]:-} != \"* ]]; then
    [[ -v MEMBERS[result.] || -v MEMBERS[error.] ]] || nodeling__refuse "${id:-null}" -32600 'a frame has "jsonrpc":"2.0" and a method'
    return
  fi
  nodeling_text "${MEMBERS[method.]}"
  method=$REPLY
  [[ -n $id ]] || return 0 # a notification: a serial node can do nothing about those it knows
  if [[ $id == null ]]; then
    nodeling__refuse null -32600 "the id of a request is an integer or a text"
  elif ((${#line} > NODELING_MAX_FRAME)); then
    nodeling__refuse "$id" 4005 "a frame of ${#line} bytes is over the cap of $NODELING_MAX_FRAME"
  elif [[ $params != \{* ]]; then
    nodeling__refuse "$id" -32602 "params is an object"
  else
    case $method in
      node/invoke) nodeling__invoke "$id" "$params" "$2" ;;
      node/hello) nodeling__hello "$id" "$params" ;;
      node/shutdown)
        nodeling__say "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{}}"
        exit 0
        ;;
      *) nodeling__refuse "$id" -32601 "this node does not know '${method:0:100}'" ;;
    esac
  fi
}

# nodeling_serve FUNCTION: answer calls until the host is gone.
nodeling_serve() {
  if [[ ${NODELING:-} != 1 ]]; then
    echo "nodeling: this is the side of a node that a host talks to, and there is no host here" >&2
    echo "To run a node by hand: nodectl test DIR, or nodectl run FILE" >&2
    exit 64
  fi
  local line reader
  if [[ -n ${NODELING_FDS:-} ]]; then
    local -i from=${NODELING_FDS%,*} to=${NODELING_FDS#*,}
    exec {reader}<&"$from" {NODELING__OUT}>&"$to" {from}<&- {to}>&-
    unset NODELING_FDS
  else
    exec {reader}<&0 {NODELING__OUT}>&1 </dev/null 1>&2
  fi
  NODELING__NAME='' NODELING__VERSION=0.0.0 NODELING__FEATURES='' NODELING__LEVEL_OF_ALL=info
  if [[ -r ${0%/*}/config.json ]] && nodeling_members "$(<"${0%/*}/config.json")"; then
    nodeling_text "${MEMBERS[name.]:-}"
    NODELING__NAME=$REPLY
    nodeling_text "${MEMBERS[version.]:-0.0.0}"
    NODELING__VERSION=$REPLY
  fi
  while IFS= read -r -u "$reader" line; do # an unfinished line at the end is dropped
    [[ $line == *$'\r' ]] && line=${line:0:${#line}-1}
    [[ $line == *[![:space:]]* ]] && nodeling__frame "$line" "$1" {reader}<&-
  done
  exit 0
}
