#!/usr/bin/env python3
"""Checks a Twokey audit log from its published format alone (docs/reference/audit-record.md); shares no code with Twokey.

usage: verify_chain.py DIRECTORY [PUBLIC_KEY.pem]

Prints a line a chain: "CHAIN ok LAST_SEQ" or "CHAIN bad SEQ WHY", where SEQ is the first place at which the log is not as the
format says. Checkpoints are verified with the openssl command when a key is given. Exit status 0, 1, or 2 for misuse.
"""

import base64
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile

LINE = re.compile(
    rb'(\{"seq":(?P<seq>[1-9][0-9]*)'
    rb',"time":"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"'
    rb',"chain":"(?P<chain>[0-9a-f]{16})"'
    rb',"prev":"(?P<prev>[0-9a-f]{64})"'
    rb',"event":"(?P<event>[a-z_.]+)".*)'
    rb',"hash":"(?P<hash>[0-9a-f]{64})"\}',
    re.DOTALL,
)


class Bad(Exception):
    pass


def no_member_twice(pairs):
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        raise Bad("a member stands twice")
    return dict(pairs)


def check_signature(line, key):
    signed, _, rest = line.rpartition(b',"signature":"')
    with tempfile.TemporaryDirectory() as folder:
        message = pathlib.Path(folder, "message")
        message.write_bytes(signed)
        signature = pathlib.Path(folder, "signature")
        signature.write_bytes(base64.b64decode(rest.split(b'"')[0]))
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin"]
        verified = subprocess.run(
            [*command, "-in", str(message), "-sigfile", str(signature)], capture_output=True
        )
    if verified.returncode != 0:
        raise Bad("a checkpoint is not signed by the key")


def check_record(line, chain, seq, prev, key):
    match = LINE.fullmatch(line)
    if match is None:
        raise Bad("not a record")
    if match["chain"].decode() != chain:
        raise Bad("of another chain")
    if int(match["seq"]) != seq:
        raise Bad(f"record {int(match['seq'])} stands here")
    if hashlib.sha256(match[1]).hexdigest() != match["hash"].decode():
        raise Bad("its hash is not the hash of its bytes")
    if match["prev"].decode() != prev:
        raise Bad("not chained to the record before")
    record = json.loads(line, object_pairs_hook=no_member_twice)
    if record["event"] == "chain.checkpoint" and key is not None:
        check_signature(line, key)
    return match["hash"].decode()


def check_chain(chain, paths, key):
    seq, prev = 0, "0" * 64
    for path in paths:
        content = path.read_bytes()
        for line in content.split(b"\n")[:-1]:
            seq += 1
            try:
                prev = check_record(line, chain, seq, prev, key)
            except (Bad, ValueError) as why:
                print(f"{chain} bad {seq} {why}")
                return False
        if not content.endswith(b"\n") and path is not paths[-1]:
            print(f"{chain} bad {seq + 1} a file ends within a record")
            return False
    print(f"{chain} ok {seq}")
    return True


def main(arguments):
    if len(arguments) not in (1, 2):
        print(__doc__, file=sys.stderr)
        return 2
    chains = {}
    for path in sorted(pathlib.Path(arguments[0]).glob("audit-*-*.jsonl")):
        chains.setdefault(path.name.split("-")[1], []).append(path)
    if not chains:
        print("no audit log there", file=sys.stderr)
        return 2
    key = arguments[1] if len(arguments) == 2 else None
    results = [check_chain(chain, paths, key) for chain, paths in chains.items()]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
