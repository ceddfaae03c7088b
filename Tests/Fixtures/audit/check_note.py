"""Checks a signed note by the words of C2SP's signed-note, with Python's cryptography and nothing of ours."""
import base64
import hashlib
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key


def verifier_key(text, name):
    """The key's bytes with their type in front: of `name+hash+base64`, or of an Ed25519 private key in PEM."""
    if text.startswith("-----BEGIN"):
        public = load_pem_private_key(text.encode(), password=None).public_key()
        return b"\x01" + public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    key_name, key_hash, encoded = text.strip().split("+", 2)
    key = base64.b64decode(encoded, validate=True)
    assert key_name == name, "the key's name"
    assert hashlib.sha256(name.encode() + b"\n" + key).digest()[:4].hex() == key_hash, "the key's hash"
    return key


note = open(sys.argv[1], encoding="utf-8").read()
name = note.split("\n")[0]
key = verifier_key(open(sys.argv[2], encoding="utf-8").read(), name)
assert key[0] == 1 and len(key) == 33, "an Ed25519 key has type 1 and 32 bytes"

text, signatures = note.rsplit("\n\n", 1)
text += "\n"
dash, signer, encoded = signatures.rstrip("\n").split(" ")
signature = base64.b64decode(encoded, validate=True)
assert dash == "\u2014" and signer == name, "the signature line"
assert signature[:4] == hashlib.sha256(name.encode() + b"\n" + key).digest()[:4], "the signature's key"
Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature[4:], text.encode())

origin, position, seal, epoch, time = text.rstrip("\n").split("\n")
assert origin == name and int(position) > 0 and len(base64.b64decode(seal, validate=True)) == 32
assert epoch == "epoch 1" and time.startswith("time 2")
