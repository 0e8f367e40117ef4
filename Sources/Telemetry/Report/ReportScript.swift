extension ReportPage {
    /// Draws the curves, reads values off them under the pointer or by the arrow keys, and leafs through the previews.
    static let script = #"""
        "use strict";
        (() => {
          const curves = JSON.parse(document.getElementById("curves").textContent);
          const svgs = [...document.querySelectorAll(".charts svg")];
          const logarithmic = document.getElementById("log");
          const reading = document.getElementById("reading");
          const margin = { left: 58, right: 14, top: 10, bottom: 24 };
          const number = (value) => {
            const size = Math.abs(value);
            if (size !== 0 && (size < 1e-3 || size >= 1e6)) return Number(value.toPrecision(3)).toExponential().replace("e+", "e");
            return String(Number(value.toPrecision(4)));
          };
          const grouped = (step) => step.toLocaleString("en");

          const spacing = (span, count) => {
            const rough = span / count, power = 10 ** Math.floor(Math.log10(rough));
            return [1, 2, 5, 10].map((times) => times * power).find((step) => step >= rough * 0.999);
          };
          const linearTicks = (low, high, count) => {
            const step = spacing(high - low, count), ticks = [];
            for (let at = Math.ceil(low / step); at * step <= high * (1 + 1e-9) + step * 1e-9; at++) {
              ticks.push(at * step);
            }
            return ticks;
          };
          const logTicks = (low, high) => {
            const ticks = [];
            const digits = Math.log10(high / low) > 2.5 ? [1] : Math.log10(high / low) > 0.9 ? [1, 2, 5] : null;
            if (!digits) return linearTicks(low, high, 5);
            for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
              for (const digit of digits) {
                const tick = digit * 10 ** power;
                if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick);
              }
            }
            return ticks;
          };
          /** The index of the point nearest to a step. */
          const nearest = (steps, step) => {
            let low = 0, high = steps.length - 1;
            while (low < high) {
              const middle = (low + high) >> 1;
              if (steps[middle] < step) low = middle + 1; else high = middle;
            }
            return low > 0 && step - steps[low - 1] <= steps[low] - step ? low - 1 : low;
          };

          const all = curves.flat().flatMap((series) => [series.steps[0], series.steps[series.steps.length - 1]])
            .filter((step) => step !== undefined);
          const each = Math.max(1, ...curves.flat().map((series) => series.each ?? 1));
          const first = Math.min(...all), last = Math.max(...all, first + 1);

          const charts = svgs.map((svg, index) => {
            const series = curves[index];
            const outputs = [...svg.parentElement.querySelectorAll("output")];
            const make = (name, attributes, text) => {
              const node = document.createElementNS(svg.namespaceURI, name);
              for (const key in attributes) node.setAttribute(key, attributes[key]);
              if (text !== undefined) node.textContent = text;
              svg.appendChild(node);
              return node;
            };
            let x, y, width, height, cursor, dots;

            const draw = () => {
              svg.replaceChildren();
              width = svg.clientWidth;
              height = svg.clientHeight;
              const values = series.flatMap((one) => [...(one.lows ?? one.values), ...(one.highs ?? [])]);
              const positive = values.filter((value) => value > 0);
              const isLog = logarithmic.checked && positive.length === values.length;
              let low = Math.min(...values), high = Math.max(...values);
              if (isLog) {
                const room = Math.max((high / low) ** 0.05, 1.01);
                low /= room;
                high *= room;
              } else {
                const room = (high - low) * 0.05 || Math.abs(high) * 0.05 || 1;
                low = low >= 0 && low - room < 0 ? 0 : low - room;
                high += room;
              }
              const scale = isLog ? Math.log : (value) => value;
              x = (step) => margin.left + (step - first) / (last - first) * (width - margin.left - margin.right);
              y = (value) => height - margin.bottom - (scale(value) - scale(low)) / (scale(high) - scale(low))
                * (height - margin.top - margin.bottom);
              for (const tick of isLog ? logTicks(low, high) : linearTicks(low, high, 5)) {
                make("line", { class: "grid", x1: margin.left, x2: width - margin.right, y1: y(tick), y2: y(tick) });
                make("text", { x: margin.left - 7, y: y(tick) + 4, "text-anchor": "end" }, number(tick));
              }
              const ticks = linearTicks(first, last, Math.max(2, Math.floor((width - 80) / 90)));
              for (const tick of ticks.filter(Number.isInteger)) {
                make("line", { class: "axis", x1: x(tick), x2: x(tick), y1: height - margin.bottom,
                  y2: height - margin.bottom + 4 });
                const anchor = x(tick) > width - 28 ? "end" : "middle";
                make("text", { x: x(tick) + (anchor === "end" ? 10 : 0), y: height - 7, "text-anchor": anchor },
                  grouped(tick));
              }
              make("line", { class: "axis", x1: margin.left, x2: width - margin.right, y1: height - margin.bottom,
                y2: height - margin.bottom });
              series.forEach((one, place) => {
                const line = (values) => one.steps.map((step, at) => `${x(step).toFixed(1)},${y(values[at]).toFixed(1)}`);
                if (one.lows) {
                  const around = [...line(one.highs), ...line(one.lows).reverse()];
                  make("path", { class: `s${place % 6} band`, d: "M" + around.join("L") + "Z" });
                }
                const isFaint = one.label === "of each update";
                make("path", { class: `s${place % 6}${isFaint ? " faint" : ""}`, d: "M" + line(one.values).join("L") });
                if (one.steps.length > 40) return;
                one.steps.forEach((step, at) => {
                  make("circle", { class: `s${place % 6}`, cx: x(step), cy: y(one.values[at]), r: 2.5 });
                });
              });
              cursor = make("line", { class: "cursor", y1: margin.top, y2: height - margin.bottom, visibility: "hidden" });
              dots = series.map((_, place) => make("circle", { class: `s${place % 6}`, r: 3.5, visibility: "hidden" }));
            };
            /** Shows the values at an update; the newest without one. */
            const point = (step) => {
              series.forEach((one, place) => {
                const at = step === null ? one.steps.length - 1 : nearest(one.steps, step);
                if (at < 0) return;
                outputs[place].textContent = number(step === null ? one.last : one.values[at]);
                dots[place].setAttribute("visibility", step === null ? "hidden" : "visible");
                dots[place].setAttribute("cx", x(one.steps[at]));
                dots[place].setAttribute("cy", y(one.values[at]));
              });
              cursor.setAttribute("visibility", step === null ? "hidden" : "visible");
              if (step !== null) {
                cursor.setAttribute("x1", x(step));
                cursor.setAttribute("x2", x(step));
              }
            };
            const stepAt = (clientX) => {
              const part = (clientX - svg.getBoundingClientRect().left - margin.left)
                / (width - margin.left - margin.right);
              return first + Math.min(Math.max(part, 0), 1) * (last - first);
            };
            return { svg, draw, point, stepAt, longest: series.map((one) => one.steps)
              .reduce((a, b) => (b.length > a.length ? b : a), []) };
          });

          let shown = null;
          const show = (step) => {
            shown = step;
            charts.forEach((chart) => chart.point(step));
            reading.textContent = step === null ? `newest values, update ${grouped(last)}`
              : `at update ${grouped(step)}` + (each > 1 ? `, means of ${each} updates; bands hold all values` : "");
          };
          const redraw = () => {
            charts.forEach((chart) => chart.draw());
            show(shown);
          };
          for (const chart of charts) {
            const snap = (step) => chart.longest[nearest(chart.longest, step)];
            chart.svg.addEventListener("pointermove", (event) => show(snap(chart.stepAt(event.clientX))));
            chart.svg.addEventListener("pointerleave", () => show(null));
            chart.svg.addEventListener("blur", () => show(null));
            chart.svg.addEventListener("keydown", (event) => {
              const move = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 }[event.key];
              if (!move || chart.longest.length === 0) return;
              event.preventDefault();
              const now = shown === null ? chart.longest.length : nearest(chart.longest, shown);
              show(chart.longest[Math.min(Math.max(now + move, 0), chart.longest.length - 1)]);
            });
          }
          if (charts.length > 0) {
            logarithmic.addEventListener("change", redraw);
            new ResizeObserver(redraw).observe(document.querySelector(".charts"));
            redraw();
          }

          const slider = document.getElementById("when");
          if (slider) {
            const figures = [...document.querySelectorAll("#previews figure")];
            slider.addEventListener("input", () => {
              figures.forEach((figure, at) => { figure.hidden = at !== Number(slider.value); });
              const step = figures[slider.value].dataset.step;
              document.getElementById("shown").textContent = step;
              slider.setAttribute("aria-valuetext", `update ${step}`);
            });
            slider.setAttribute("aria-valuetext", `update ${figures[slider.value].dataset.step}`);
          }
        })();
        """#
}
