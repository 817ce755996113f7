"""Checks an export of the ledger with nothing of viaduct's: only what RFC 6962, C2SP's signed notes, RFC 4180 and RFC 5322 say.

check.py KEY LEDGER.jsonl LEDGER.csv LEDGER.eml    each with its .manifest beside it

Prints what it found as JSON; ends with an error where anything does not fit.
"""

import base64
import csv
import email
import email.policy
import hashlib
import json
import sys

from nacl.signing import VerifyKey


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def root(leaves):
    """The Merkle tree hash of RFC 6962, section 2.1."""
    if not leaves:
        return sha256()
    if len(leaves) == 1:
        return sha256(b"\0", leaves[0])
    left = 1 << ((len(leaves) - 1).bit_length() - 1)
    return sha256(b"\1", root(leaves[:left]), root(leaves[left:]))


def open_note(path, key):
    """The text of a signed note, once its signature by the key is checked."""
    name, key_id, encoded = key.split("+", 2)
    material = base64.b64decode(encoded, validate=True)
    assert material[0] == 1, "an Ed25519 key"
    assert sha256(name.encode(), b"\n", material)[:4].hex() == key_id, "the key's own id"
    with open(path, encoding="utf-8", newline="") as file:
        text, signatures = file.read().rsplit("\n\n", 1)
    text += "\n"
    for line in signatures.splitlines():
        dash, signer, signature = line.split(" ")
        if dash == "\u2014" and signer == name:
            signature = base64.b64decode(signature, validate=True)
            assert signature[:4].hex() == key_id, "signed by another key of this name"
            VerifyKey(material[1:]).verify(text.encode(), signature[4:])
            return text
    raise AssertionError("not signed by " + name)


def manifest(path, key):
    """What the manifest of a file says, once it is known to be about the file: its fields, and the ledger's size and root."""
    text = open_note(path + ".manifest", key)
    head, checkpoint = text.split("ledger:\n", 1)
    fields = dict(line.split(" ", 1) for line in head.splitlines()[1:])
    with open(path, "rb") as file:
        content = file.read()
    assert hashlib.sha256(content).hexdigest() == fields["sha256"], path + " is not what was signed"
    _, size, tree = checkpoint.splitlines()[:3]
    return content, int(fields["records"]), int(size), base64.b64decode(tree, validate=True)


def main(key, lines_path, table_path, mails_path):
    content, records, size, tree = manifest(lines_path, key)
    assert content.endswith(b"\n")
    lines = content[:-1].split(b"\n")
    assert len(lines) == records == size, "the whole ledger"
    assert root(lines) == tree, "the root that was signed"
    entries = [json.loads(line) for line in lines]
    numbers = [entry["seq"] for entry in entries]
    assert numbers == list(range(len(numbers))), "each number once, in order"

    content, records, _, _ = manifest(table_path, key)
    rows = list(csv.DictReader(content.decode().splitlines()))
    assert len(rows) == records == len(entries)
    for row, entry in zip(rows, entries):
        assert (int(row["seq"]), row["action"]) == (entry["seq"], entry["action"])

    content, records, _, _ = manifest(mails_path, key)
    digest = email.message_from_bytes(content, policy=email.policy.default)
    mails = [part.get_content() for part in digest.iter_parts()]
    assert len(mails) == records == len(entries)
    for mail, entry in zip(mails, entries):
        assert mail["Date"] is not None and mail["From"] is not None
        assert json.loads(mail.get_content()) == entry

    actions = sorted({entry["action"] for entry in entries})
    print(json.dumps({"records": len(entries), "root": tree.hex(), "actions": actions}))


main(*sys.argv[1:])
