"""Writes expressions.json: filter expressions and what CPython (3.11) answers, and texts that must not be read.

    python3 Tests/Goldens/write_expressions.py

An answer is written as [kind, text], so that 1, 1.0 and True stay apart; ["error"] where Python raises an exception.
"""

import json
import pathlib
import random

rng = random.Random(41)

WRITTEN = [
    ("lambda w: w >= 768", [[768], [767], [767.5], [True], ["768"], [None]]),
    ("lambda s: s > 4.5", [[4.5], [4.6], [5], [-1e300]]),
    ("lambda s: s < 0.05", [[0.05], [0], [0.049999]]),
    ("lambda w, h: w >= 768 and h >= 768", [[768, 768], [768, 10], [1, 1e9]]),
    ("lambda a: 0.5 <= a < 2", [[0.5], [2], [1.99], [0]]),
    ("lambda a: 1 < a > 0 != a", [[2], [1], [0.5]]),
    ("lambda a: a in ['en', 'de']", [["en"], ["fr"], [None], [["en"]]]),
    ("lambda a: a not in ('x', 'y')", [["x"], ["z"]]),
    ("lambda t: 'cat' in t.lower()", [["A CAT"], ["dog"], [""], [3]]),
    ("lambda t: len(t.strip()) > 3", [["  ab  "], ["abcd"], ["\u2003éßþÿ\x1f"], ["e\u0301e\u0301"]]),
    ("lambda t: t.strip('xy')", [["xyaxyx"], ["yyy"], ["a"]]),
    ("lambda t: t.upper().startswith('DO')", [["dog"], ["Dog"], ["cat"], ["ß"]]),
    ("lambda t: t.upper()", [["straße ŉ ǆ ﬁ"], ["éàü"]]),
    ("lambda t: t.lower()", [["ÀÉÎ ǅ İ"], ["ΑΒΓ"]]),
    ("lambda t: t.endswith(('.jpg', '.png'))", [["a.jpg"], ["a.gif"], [".png"]]),
    ("lambda t: t.startswith(['a'])", [["a"]]),
    ("lambda w, h: max(w, h) / min(w, h) < 2.5", [[100, 200], [100, 251], [0, 1]]),
    ("lambda w, h: abs(w - h) <= 1", [[3, 4], [3, 5], [2.5, 3.5], [True, False]]),
    ("lambda a: a // 7", [[20], [-20], [20.5], [-20.5], [-0.0], [0]]),
    ("lambda a: a // -7", [[20], [-20], [20.5], [-21.0]]),
    ("lambda a: a % 7", [[20], [-20], [20.5], [-20.5], [-0.0], [-14]]),
    ("lambda a: a % -7", [[20], [-20], [20.5], [-21.0], [14]]),
    ("lambda a: a % -1", [[5], [-5], [5.5]]),
    ("lambda a: a ** 2", [[3], [-3], [1.5], [1e200], [True]]),
    ("lambda a: 2 ** a", [[10], [-2], [0.5], [100]]),
    ("lambda a: (-8) ** a", [[3], [2.0], [0.5], [-1]]),
    ("lambda a: -a ** 2", [[3], [2.5]]),
    ("lambda a: 2 ** -a", [[1], [3.0]]),
    ("lambda a: 2 ** 3 ** a", [[2], [0]]),
    ("lambda a: - - + a", [[3], [True], [2.5], ["x"]]),
    ("lambda a: 1 if a else 2", [[0], [0.0], [""], [[]], ["0"], [None], [[0]]]),
    ("lambda a: a or 'nothing'", [[0], ["x"], [None]]),
    ("lambda a: a and a + 1", [[0], [3], [""], ["x"]]),
    ("lambda a: not a", [[0], [1], [None], [[]]]),
    ("lambda a: not a == 3", [[3], [4]]),
    ("lambda a: a == 1", [[True], [1.0], ["1"], [None], [[1]]]),
    ("lambda a: a == [1, 2.0, 'x']", [[[1, 2, "x"]], [[1, 2]], [[1.0, 2.0, "y"]]]),
    ("lambda a: [1] == (1,)", [[0]]),
    ("lambda a: a < [2, 1]", [[[1, 9]], [[2]], [[2, 1]], [[2, 1, 0]], [["x"]], [3]]),
    ("lambda a: (1, 2) < (1, a)", [[3], [2], [1.5], ["x"]]),
    ("lambda a: 'a' < a", [["b"], ["B"], ["a"], ["aa"], ["é"], ["\U0001f600"], [3]]),
    ("lambda a: '\\uffff' < a", [["\U0001f600"]]),
    ("lambda a: len(a)", [["\U0001f600e\u0301"], [[1, 2]], [""], [5]]),
    ("lambda a: min(a)", [[[3, 1, 2]], ["hello"], [[]], [[1, "x"]], [[2, 2.0]], [[2.0, 2]]]),
    ("lambda a: max(a, 2, 2.0)", [[1], [3], [2.0], ["x"]]),
    ("lambda a: max(a)", [[["b", "a"]], [""], [[True, 1]]]),
    ("lambda a: abs(a)", [[-3], [-2.5], [True], [-0.0], ["x"]]),
    ("lambda a: a + 'x'", [["y"], [3]]),
    ("lambda a: a + [1]", [[[2]], ["y"]]),
    ("lambda a: a * 3", [["ab"], [[1]], [2], [2.5], [True], [None]]),
    ("lambda a: 3 * a", [["ab"], [-1]]),
    ("lambda a: -1 * a == ''", [["ab"]]),
    ("lambda a: a / 3", [[1], [2.0], [True], ["x"]]),
    ("lambda a: a == 9007199254740993", [[9007199254740993], [9007199254740992.0]]),
    ("lambda a: a < 9007199254740993", [[9007199254740992.0], [9007199254740994.0]]),
    ("lambda a: a * a", [[9007199254740993], [1e200], [10**18]]),
    ("lambda a: a > 1e400", [[1e308], [5]]),
    ("lambda a: a < 0x10 and a > 0b11 and a != 0o17", [[5], [16], [3], [15]]),
    ("lambda a: a < 1_000.5e1_0", [[1e12], [1e14]]),
    ("lambda a: a > .5 and a < 5.", [[1], [0.5], [5]]),
    ("lambda a: a == 'it\\'s \"\\x41\\u00e9\\101\\n\\q'", [["it's \"AéA\n\\q"]]),
    ("lambda a: a == r'\\n'", [["\\n"], ["\n"]]),
    ("lambda a: a == u'x' 'y' \"z\"", [["xyz"], ["x"]]),
    ("lambda a: (a\n  > 3)", [[4]]),
    ("lambda a : (((a)))", [[4]]),
    ("lambda\ta:\ta==1", [[1]]),
    ("  lambda a: a", [[1]]),
    ("lambda größe: größe > 1", [[2]]),
    ("lambda a: a if a > 1 else 0 if a < 0 else 5", [[2], [-1], [0.5]]),
    ("lambda a: (a, 1) == (1, 1) and () == ()", [[1], [2]]),
    ("lambda a: a in 'abc'", [["b"], ["bc"], ["ac"], [""], [1]]),
    ("lambda a: 3 in a", [[[1, 3]], [[3.0]], ["3"], [3]]),
    ("lambda a: a in [True, None]", [[1], [None], [0], ["x"]]),
    ("lambda is_x: is_x", [[1]]),
    ("lambda a: 1 < a in [2, 3]", [[2], [4], [0]]),
    ("lambda a: 0 and a / 0", [[1]]),
    ("lambda a: a / 0", [[1], [1.0]]),
    ("lambda a: 0 ** a", [[-1], [0], [2]]),
    ("lambda a: 1e308 * 10 - a", [[1e308]]),
    ("lambda a: 10.0 ** a", [[400], [-400], [2]]),
    ("lambda a: True + a", [[True], [1.5]]),
    ("lambda a: None == a", [[None], [0], [False]]),
    ("lambda a: [a, [a, 2]] == [1, [1, 2]]", [[1], [2]]),
    ("lambda a: a is None", [[None], [0], [False], [""], ["x"], [[]]]),
    ("lambda a: a is not None", [[None], [0], [{}], [[None]]]),
    ("lambda a: a is True", [[True], [1], [1.0], ["x"], [False]]),
    ("lambda a: a is not True and a is not False", [[True], [False], [0], [None]]),
    ("lambda a: a is False is not None", [[False], [None], [0]]),
    ("lambda a: not a is None", [[None], [1]]),
    ("lambda a: a is not None and a > 3", [[None], [4], [2]]),
    ("lambda a: a == None or a in [None, []]", [[None], [{}], [{"x": 1}], [[]]]),
    ("lambda a: 'x' in a", [[{"x": None}], [{"y": "x"}], [{}], [[{"x": 1}]], [None]]),
    ("lambda a: [1] in a", [[{}], [[[1]]], [{"x": [1]}]]),
    ("lambda a: (1, [2]) in a", [[{}], [[[1, [2]]]]]),
    ("lambda a: 3 not in a", [[{"3": 3}]]),
    ("lambda a: len(a)", [[{"a": 1, "b": {"c": 2}}], [{}], [[[], {}, None]]]),
    ("lambda a: max(a)", [[{"a": 9, "b": 1}], [{}]]),
    ("lambda a: 1 if a else 2", [[{}], [{"a": None}], [[{}]]]),
    ("lambda a, b: a == b", [[{"x": 1, "y": [2]}, {"y": [2.0], "x": True}], [{"x": 1}, {"x": 2}], [{}, []],
                             [{"x": None}, {"y": None}], [{"e\u0301": 1}, {"\u00e9": 1}]]),
    ("lambda a, b: a < b", [[{}, {"a": 1}], [[1, None], [1, None, 2]], [[None], [1]]]),
    ("lambda a: a + a", [[{}], [[{}]]]),
    ("lambda a: a * 2", [[{"a": 1}], [[None]]]),
]

HOSTILE = [
    "", " ", "identity", "w >= 768", "lambda: 1", "lambda w", "lambda w:", "lambda w: ", "lambda w, : w", "lambda w w: w",
    "lambda *w: w", "lambda **w: w", "lambda w=1: w", "lambda w, w: w", "lambda w, /: w", "lambda in: 1",
    "lambda w: __import__('os').system('id')", "lambda w: open('/etc/passwd')", "lambda w: exec('1')", "lambda w: eval('1')",
    "lambda w: w.__class__", "lambda w: w.__class__.__mro__", "lambda w: w.format()", "lambda w: ''.join(w)",
    "lambda w: w.lower", "lambda w: w.lower(1)", "lambda w: w.strip(1, 2)", "lambda w: w.startswith()", "lambda w: w[0]",
    "lambda w: w[0:1]", "lambda w: [x for x in w]", "lambda w: (x for x in w)", "lambda w: {1: 2}", "lambda w: {1}",
    "lambda w: (w := 3)", "lambda w: lambda v: v", "(lambda w: w)(3)", "lambda w: w; 1", "lambda w: yield w", "lambda w: await w",
    "lambda w: f'{w}'", "lambda w: b'x'", "lambda w: '''x'''", "lambda w: 'x", "lambda w: 'x\ny'", "lambda w: w & 1",
    "lambda w: w | 1", "lambda w: w ^ 1", "lambda w: ~w", "lambda w: w << 99", "lambda w: w @ w", "lambda w: w = 1", "lambda w: w <> 1",
    "lambda w: !w", "lambda w: w && w", "lambda w: w not 1", "lambda w: w is 1",
    "lambda w: w is", "lambda w: w is not", "lambda w: w is not w", "lambda w: w is (1)", "lambda w: is None", "lambda w: 1 if w", "lambda w: if w: 1", "lambda w: w +", "lambda w: (w",
    "lambda w: w)", "lambda w: [w", "lambda w: 1j", "lambda w: 0777", "lambda w: 1__0", "lambda w: 0x", "lambda w: 1e", "lambda w: 3w",
    "lambda w: '\\x4'", "lambda w: '\\U99999999'", "lambda w: '\\N{BULLET}'", "lambda w: len", "lambda w: len()", "lambda w: len(w, w)",
    "lambda w: max()", "lambda w: max(w, key=len)", "lambda w: max(*w)", "lambda w: print(w)", "lambda w: x > 1", "lambda w: True()",
    "lambda w: None.x()", "lambda w: w # 1", "lambda w: $w", "lambda w: w?1:2", "lambda w: w\n> 1", "import os", "lambda w: ...",
    "lambda w: " + "(" * 500 + "w" + ")" * 500, "lambda w: " + "-" * 500 + "w", "lambda w: " + "not " * 500 + "w",
    "lambda w: " + "[" * 500, "lambda w: " + "w if w else " * 500 + "w", "lambda w: " + "9" * 60, "lambda w: " + "w+" * 5000 + "w",
    "lambda w: " + "2**" * 500 + "w", "lambda w: w" + ".lower()" * 500, "\x00", "lambda w: w\x00", "lambda w: \ud7ff",
]


def atom(depth):
    choice = rng.randrange(9 if depth else 5)
    if choice < 2:
        return rng.choice("ab")
    if choice == 2:
        return str(rng.choice([0, 1, 2, 3, 7, 10, 100, 768]))
    if choice == 3:
        return rng.choice(["0.5", "1.5", "2.0", "1e3", "True", "False", "None"])
    if choice == 4:
        return rng.choice(["'cat'", "'Dog '", "''", "[1, 2]", "(1, 'x')", "[]"])
    if choice == 5:
        return f"({condition(depth - 1)})"
    if choice == 6:
        return f"{rng.choice(['len', 'abs', 'min', 'max'])}({condition(depth - 1)})"
    if choice == 7:
        return f"{rng.choice(['min', 'max'])}({condition(depth - 1)}, {condition(depth - 1)})"
    return f"({condition(depth - 1)}){rng.choice(['.lower()', '.upper()', '.strip()'])}"


def condition(depth):
    choice = rng.randrange(8)
    if choice == 0 or depth == 0:
        return atom(depth)
    if choice < 3:
        return f"{atom(depth)} {rng.choice(['+', '-', '*', '/', '//', '%'])} {atom(depth)}"
    if choice < 5:
        relation = rng.choice(["<", "<=", ">", ">=", "==", "!=", "in", "not in"])
        return f"{atom(depth)} {relation} {atom(depth)}"
    if choice == 5:
        return f"{condition(depth - 1)} {rng.choice(['and', 'or'])} {condition(depth - 1)}"
    if choice == 6:
        return f"not {condition(depth - 1)}"
    return f"{condition(depth - 1)} if {condition(depth - 1)} else {condition(depth - 1)}"


def argument():
    return rng.choice([0, 1, 2, 5, -3, 0.5, 768, 1000, -2.5, True, None, "cat", "Dogs ", "", [1, 2], ["cat"], []])


def answer(function, arguments):
    try:
        value = function(*arguments)
    except Exception:
        return ["error"]
    if isinstance(value, complex):
        return ["error"]  # no condition has a use for them
    return [type(value).__name__, repr(value) if not isinstance(value, str) else value]


cases = []
for text, calls in WRITTEN:
    cases += [{"text": text, "arguments": a, "answer": answer(eval(text), a)} for a in calls]
drawn = 0
while drawn < 600:
    text = "lambda a, b: " + condition(3)
    arguments = [argument(), argument()]
    try:
        function = eval(text)
    except SyntaxError:
        continue
    result = answer(function, arguments)
    if "%" in text and result[0] == "str":
        continue  # Python's formatting of strings is not part of the language
    if result == ["error"] and rng.random() < 0.8:
        continue
    cases.append({"text": text, "arguments": arguments, "answer": result})
    drawn += 1

path = pathlib.Path(__file__).with_name("expressions.json")
path.write_text(json.dumps({"cases": cases, "refused": HOSTILE}, indent=0) + "\n")
print(len(cases), "cases,", len(HOSTILE), "refused")
