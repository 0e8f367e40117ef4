"""The numbers of a run in words: rows of the report's table, and docs/quality.md."""

import pathlib


def said(figure: dict) -> str:
    return f"{figure['value']:.2f} ({figure['low']:.2f} to {figure['high']:.2f})"


def met(is_met: bool) -> str:
    return "met" if is_met else "not met"


def rows(figures: dict) -> list[tuple[str, str, str, str]]:
    """What was measured, its value, its bar, and whether that is met."""
    judge = figures["judge"]
    table = [("judge: right on held-out reconstructions", f"{judge:.2f}", "0.80", met(judge >= 0.8))]

    def add(what: str, figure: dict, bar: str = "", is_met: bool | None = None) -> None:
        table.append((what, said(figure), bar, "" if is_met is None else met(is_met)))

    encoder = figures["encoder"]
    add("encoder and previewer, held-out subjects: PSNR in dB", encoder["psnr"], "25", encoder["psnr"]["value"] >= 25)
    add("encoder and previewer, held-out subjects: edge F1", encoder["f1"], "0.75", encoder["f1"]["value"] >= 0.75)
    base = figures["base"]
    for name, title in (("seen", "pairs of training"), ("pairs", "pairs never seen")):
        own = base[name]
        add(f"base, {title}: right subject (chance {base['chance']:.3f})", own["subject"])
        add(f"base, {title}: real images' reconstructions in new poses", own["real"])
        add(f"base, {title}: share of the real images'", own["share"], "0.80", own["share"]["value"] >= 0.8)
        add(f"base, {title}: right background", own["background"], "0.95", own["background"]["value"] >= 0.95)
    add("base: seen less never seen", base["gap"], "at most 0.05", base["gap"]["value"] <= 0.05)
    for name, own in figures["control"]["measures"].items():
        add(f"ControlNet, {name}: no condition", own["without"])
        add(f"ControlNet, {name}: another image's condition", own["other"])
        add(f"ControlNet, {name}: its own condition", own["with"], "apart", own["with"]["low"] > own["without"]["high"])
        add(f"ControlNet, {name}: perfect reconstruction", own["ceiling"])
        add(f"ControlNet, {name}: (own - none) / (ceiling - none)", own["share"], "0.50", own["share"]["value"] >= 0.5)
        gain = own["others gain"]
        add(f"ControlNet, {name}: another's less none", gain, "at most 0.05", gain["value"] <= 0.05)
    own = figures["concepts"]["figures"]
    add("token and LoRA, similarity: initial word", own["word"])
    add("token and LoRA, similarity: token", own["token"])
    add("token and LoRA, similarity: real images' reconstructions", own["ceiling"])
    add("token and LoRA: gain over the initial word", own["gain"], "above 0", own["gain"]["low"] > 0)
    for name, title in (("drift", "what unrelated images lose"), ("leak", "what they take on of the concept")):
        figure = own[f"{name} of gain"]
        add(f"token and LoRA: {title}, of the gain", figure, "at most 0.20", figure["value"] <= 0.2)
    return table


def write(path: pathlib.Path, figures: dict, machine: str, seconds: float, is_resumed: bool) -> None:
    control, concepts = figures["control"], figures["concepts"]
    lines = [
        "# Quality of the miniature",
        "",
        "Written by `make quality`: the numbers of its last run. Means over subjects, with 95 % intervals by bootstrap",
        "over them. The ControlNet's guidance and strength and the LoRA's weight were chosen on the tuning split, the weight on one",
        "subject of it; guidance of the rest on trained subjects, with other seeds and mostly other backgrounds than those judged.",
        "",
        f"Guidance {figures['base']['guidance']}; with the ControlNet {control['guidance']} and strength {control['strength']}; "
        f"weight of LoRA {concepts['weight']}; {concepts['runs']} runs of tokens.",
        f"{seconds / 60:.0f} minutes on {machine}{', less what was there from before' if is_resumed else ''}.",
        "",
        "| what | mean | bar | |",
        "|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows(figures)),
    ]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
