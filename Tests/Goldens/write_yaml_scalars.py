"""Writes yaml_scalars.json: what PyYAML 6.0.3 (safe_load) makes of scalars without quotes.

    python3 Tests/Goldens/write_yaml_scalars.py

Each entry is [text, kind, value], kind being null, bool, int, float or str; a float's value is its repr.
"""

import itertools
import json
import pathlib

import yaml

texts = "null Null NULL ~ nUll true True TRUE tRue yes Yes YES no No NO on On ON off Off OFF y n".split()
texts += "0 1 -1 +1 007 010 -010 08 0x1F 0X1F -0xff 0b101 0b2 1_000 _1 0_7 9223372036854775807".split()
texts += "-9223372036854775808 0.1 .5 -.5 1. +1.5 1.0e-4 1.0e+4 1.5E+3 1_0.5 .inf -.inf +.Inf .INF inf nan".split()
texts += "9/16 [fernando x a-b 1.2.3 1e 1e+ e1 0x 0b - + 1- -- ./a s3://b".split()
texts += ["".join(letters) for letters in itertools.product("01-._", repeat=3)]

cases = []
for text in texts:
    try:
        value = yaml.safe_load("key: " + text)["key"]
    except (yaml.YAMLError, ValueError):
        continue
    kind = {type(None): "null", bool: "bool", int: "int", float: "float", str: "str"}.get(type(value))
    if kind:
        cases.append([text, kind, repr(value) if kind == "float" else value])
path = pathlib.Path(__file__).with_name("yaml_scalars.json")
path.write_text(json.dumps(cases, separators=(",", ":")) + "\n")
