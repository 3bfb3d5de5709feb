#!/usr/bin/env python3
"""Makes vectors of what `trace --format json` printed.

    trace --read RECORDING --format json | sidecar.py DIALECT RELEASE SOURCE > new.jsonl

Reads the bytes on its own, so that a vector says what a second decoder found and not what the
library believes. DIALECT is V2_4, V2_5, V2_6, V3 or V5; SOURCE says who sent the frames. Every
frame becomes a line; which of them are worth keeping, and their names, is for people to say.
"""

import json
import struct
import sys

HELLO = "NULL NEW_WORKER NAME_SERVICE_WORKER RESTART_WORKER ACCEPT REJECT_NOT_RESTARTING " \
        "REJECT_WRONG_COMP REJECT_NOT_RUNNING"
INFO = "UPDATE_PROCESS_INFO_AFTER_FORK UPDATE_PROCESS_INFO_AFTER_INIT_OR_EXEC"
DIRECTORY = "GET_CKPT_DIR GET_CKPT_DIR_RESULT UPDATE_CKPT_DIR"
GLOBAL = "UPDATE_CKPT_DIR UPDATE_GLOBAL_CKPT_DIR UPDATE_GLOBAL_CKPT_DIR_SUCCEED " \
         "UPDATE_GLOBAL_CKPT_DIR_FAIL"
FILES = "CKPT_FILENAME UNIQUE_CKPT_FILENAME USER_CMD USER_CMD_RESULT"
BEGIN = "DO_SUSPEND DO_RESUME DO_FD_LEADER_ELECTION"
EARLY = "DO_PRE_CKPT_NAME_SERVICE_DATA_REGISTER DO_PRE_CKPT_NAME_SERVICE_DATA_QUERY"
PHASES = "DO_DRAIN DO_CHECKPOINT DO_REGISTER_NAME_SERVICE_DATA DO_SEND_QUERIES DO_REFILL KILL_PEER"
NAMES = "REGISTER_NAME_SERVICE_DATA REGISTER_NAME_SERVICE_DATA_SYNC " \
        "REGISTER_NAME_SERVICE_DATA_SYNC_RESPONSE NAME_SERVICE_QUERY NAME_SERVICE_QUERY_RESPONSE"
UNIQUE = "NAME_SERVICE_GET_UNIQUE_ID NAME_SERVICE_GET_UNIQUE_ID_RESPONSE UPDATE_LOGGING"
BARRIERS = "DO_CHECKPOINT BARRIER BARRIER_RELEASED WORKER_RESUMING KILL_PEER KVDB_REQUEST " \
           "KVDB_RESPONSE"

TYPES = {
    "V2_4": [HELLO, INFO, DIRECTORY, FILES, BEGIN, PHASES, NAMES, "OK"],
    "V2_5": [HELLO, INFO, GLOBAL, FILES, BEGIN, PHASES, NAMES, UNIQUE, "OK"],
    "V2_6": [HELLO, INFO, GLOBAL, FILES, BEGIN, EARLY, PHASES, NAMES, UNIQUE, "OK"],
    "V3": [HELLO, INFO, DIRECTORY, FILES, BARRIERS],
    "V5": [HELLO, "REJECT_RESTART_PEER_MISMATCH", INFO, DIRECTORY, FILES, BARRIERS],
}

START = "UNKNOWN RUNNING SUSPENDED FD_LEADER_ELECTION"
END = "DRAINED RESTARTING CHECKPOINTED NAME_SERVICE_DATA_REGISTERED DONE_QUERYING REFILLED"
PRE = "PRE_CKPT_NAME_SERVICE_DATA_REGISTER PRE_CKPT_NAME_SERVICE_DATA_QUERY"
NEW = "UNKNOWN RUNNING PRESUSPEND SUSPENDED CHECKPOINTING CHECKPOINTED RESTARTING"
STATES = {"V2_4": [START, END], "V2_5": [START, END], "V2_6": [START, PRE, END],
          "V3": [NEW], "V5": [NEW]}

# Behind the magic; the kinds of number are those of the struct module.
COUNTS = "keyLen:I valLen:I numPeers:I isRunning:I coordCmd:I coordCmdStatus:i coordTimeStamp:Q " \
         "theCheckpointInterval:i ipAddr:4s"
MIDDLE = "type:i state:I from:id compGroup:id virtualPid:i realPid:i"
OLD = f"msgSize:I extraBytes:I {MIDDLE} nsid:8s {COUNTS}"
LAYOUTS = {
    "V2_4": OLD,
    "V2_5": f"{OLD} uniqueIdOffset:I logMask:I",
    "V2_6": f"{OLD} uniqueIdOffset:I logMask:I",
    "V3": f"name64:64s kvdb_op_or_response:I kvdb_upper_half:I msgSize:I extraBytes:I {MIDDLE} "
          f"{COUNTS} uniqueIdOffset:I exitAfterCkpt:I",
}
LAYOUTS["V5"] = LAYOUTS["V3"]


def header(dialect, frame):
    """The fields of a header, and its length."""
    fields, at = {}, 16
    for item in LAYOUTS[dialect].split():
        name, form = item.split(":")
        if form == "id":
            host, time, pid, generation = struct.unpack_from("<QQiI", frame, at)
            value = {"hostid": host, "time": time, "pid": pid, "generation": generation}
            at += 24
        else:
            (value,) = struct.unpack_from("<" + form, frame, at)
            at += struct.calcsize("<" + form)
        if form == "4s":
            value = ".".join(str(byte) for byte in value)
        elif form.endswith("s"):
            value = value.split(b"\0")[0].decode("utf-8", "replace")
        fields[name] = value
    return fields, at


def garbage(dialect, fields):
    """What a stock sender leaves unset."""
    if dialect not in ("V3", "V5"):
        return []
    unset = ["uniqueIdOffset@200..203"]
    if fields["type_name"] in ("KVDB_REQUEST", "KVDB_RESPONSE"):
        unset.append("upper half of kvdb union @84..87")
    else:
        unset.append("kvdb union @80..87")
    if not any(fields["compGroup"][part] for part in ("hostid", "time", "pid")):
        unset.append("compGroup.generation @148..151")
    return unset


def vector(dialect, release, source, direction, digits):
    """One line of a vector file."""
    frame = bytes.fromhex(digits)
    fields, end = header(dialect, frame)
    assert fields["msgSize"] == end, f"a header of {fields['msgSize']} bytes is not {dialect}"
    payload = frame[end:]
    assert len(payload) == fields["extraBytes"], "not one whole frame"
    word = lambda tables, number: " ".join(tables[dialect]).split()[number]
    fields["type_name"] = word(TYPES, fields["type"])
    fields["state_name"] = word(STATES, fields["state"])
    line = {"name": f"{dialect}-{direction}-{fields['type_name']}", "hex": digits,
            "release": release, "direction": direction, "source": source,
            "payload_bytes": len(payload)}
    for name in ("msgSize extraBytes type type_name state state_name from compGroup virtualPid "
                 "realPid keyLen valLen numPeers isRunning coordCmd coordCmdStatus "
                 "coordTimeStamp theCheckpointInterval ipAddr").split():
        line[name] = fields[name]
    if "nsid" in fields:
        for name in ("nsid", "uniqueIdOffset", "logMask"):
            if name in fields:
                line[name] = fields[name]
    else:
        for name in ("name64", "kvdb_op_or_response", "exitAfterCkpt"):
            line[name] = fields[name]
    stock = not source.startswith("synthetic")
    line["garbage_fields"] = garbage(dialect, fields) if stock else []
    try:
        line["payload_text"] = payload.decode()
    except UnicodeDecodeError:
        line["payload_text"] = None
    return line


def main():
    dialect, release, source = sys.argv[1:]
    for text in sys.stdin:
        seen = json.loads(text)
        if seen.get("event") == "frame":
            made = vector(dialect, release, source, seen["direction"], seen["hex"])
            print(json.dumps(made))


if __name__ == "__main__":
    main()
