extension ReportPage {
    static let style = """
        :root { color-scheme: light dark;
          --paper: #fbfbf9; --card: #fff; --ink: #1d2125; --soft: #5c6670; --line: #d9dde1; --grid: #eceff1;
          --s0: #2563b8; --s1: #c2410c; --s2: #15803d; --s3: #7e22ce; --s4: #0f766e; --s5: #be185d; }
        @media (prefers-color-scheme: dark) { :root {
          --paper: #14171a; --card: #1c2024; --ink: #e6e9ec; --soft: #9aa5b0; --line: #3a4148; --grid: #2a3036;
          --s0: #6ea8fe; --s1: #fb923c; --s2: #4ade80; --s3: #c084fc; --s4: #2dd4bf; --s5: #f472b6; } }
        * { box-sizing: border-box; }
        body { margin: 0 auto; max-width: 84rem; padding: 1.5rem clamp(.75rem, 3vw, 2rem) 3rem;
          background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; }
        header { border-bottom: 1px solid var(--line); margin-bottom: 1.25rem; }
        h1 { margin: 0; font-size: 1.6rem; overflow-wrap: anywhere; }
        h2 { margin: 0; font-size: 1.1rem; }
        h3 { margin: 0; font-size: .95rem; }
        small, header p, figcaption, th { color: var(--soft); }
        small { font-size: .8rem; font-weight: normal; }
        header p { margin: .25rem 0 .9rem; }
        section { margin: 0 0 1.75rem; }
        .bar { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem 1.25rem; margin-bottom: .6rem; }
        .bar p { margin: 0; color: var(--soft); font-variant-numeric: tabular-nums; flex: 1; min-width: 8rem; }
        .bar label { display: inline-flex; align-items: center; gap: .5rem; }
        .charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem; }
        figure { margin: 0; }
        .charts figure { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
          padding: .7rem .8rem .4rem; min-width: 0; }
        .charts figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem; }
        .charts h3 { color: var(--ink); }
        .charts ul { list-style: none; display: flex; flex-wrap: wrap; gap: 0 1rem; margin: 0; padding: 0;
          font-size: .82rem; }
        .charts li::before { content: ""; display: inline-block; width: .9em; height: .2em; margin-right: .35em;
          vertical-align: .25em; border-radius: 1px; background: currentColor; }
        .charts li span { color: var(--soft); }
        .charts li output { color: var(--ink); font-variant-numeric: tabular-nums; }
        svg { display: block; width: 100%; height: 220px; margin-top: .3rem; border-radius: 4px; touch-action: pan-y; }
        svg:focus-visible, pre:focus-visible { outline: 2px solid var(--s0); outline-offset: 2px; }
        svg text { fill: var(--soft); font-size: 11px; font-variant-numeric: tabular-nums; }
        svg .grid { stroke: var(--grid); }
        svg .axis { stroke: var(--line); }
        svg .cursor { stroke: var(--soft); stroke-dasharray: 3 3; }
        svg path { fill: none; stroke: currentColor; stroke-width: 1.6; stroke-linejoin: round; }
        svg .faint { opacity: .45; stroke-width: 1; }
        svg .band { fill: currentColor; stroke: none; opacity: .2; }
        svg circle { fill: currentColor; }
        .s0 { color: var(--s0); } .s1 { color: var(--s1); } .s2 { color: var(--s2); }
        .s3 { color: var(--s3); } .s4 { color: var(--s4); } .s5 { color: var(--s5); }
        #previews img { display: block; max-width: 100%; height: auto; border: 1px solid var(--line);
          border-radius: 6px; background: #000; }
        #previews figcaption { margin-top: .35rem; font-size: .85rem; }
        #when { width: min(22rem, 55vw); accent-color: var(--s0); }
        #shown { min-width: 4rem; font-variant-numeric: tabular-nums; }
        a { color: var(--s0); }
        .facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1.5rem; }
        .facts h2 { margin-bottom: .4rem; }
        table { border-collapse: collapse; width: 100%; font-size: .9rem; }
        th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; font-weight: normal;
          border-top: 1px solid var(--grid); overflow-wrap: anywhere; }
        th { width: 40%; }
        pre { margin: .5rem 0 0; padding: .8rem; background: var(--card); border: 1px solid var(--line);
          border-radius: 8px; overflow-x: auto; font: 13px/1.45 ui-monospace, "DejaVu Sans Mono", monospace; }
        """
}
