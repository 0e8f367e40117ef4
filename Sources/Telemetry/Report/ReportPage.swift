import Foundation
import JSON

/// The page as text. Whatever comes from outside is escaped, and the page's own policy keeps it off the network.
struct ReportPage {
    struct Series {
        var label: String
        var curve: Curve
    }

    struct Chart {
        var title: String
        /// Of the values; empty for none.
        var unit: String
        var series: [Series]
    }

    var title: String
    var state: String
    var charts: [Chart]
    var previews: [Report.Preview]
    var sections: [ReportSection]
    var configuration: String

    var html: String {
        """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
        style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
        <meta name="color-scheme" content="light dark">
        <link rel="icon" href="data:,">
        <title>\(Self.escaped(title))</title>
        <style>
        \(Self.style)
        </style>
        </head>
        <body>
        <header>
        <h1>\(Self.escaped(title))</h1>
        <p>\(Self.escaped(state))</p>
        </header>
        <main>
        \(chartsHTML)\(previewsHTML)<section class="facts">
        \(sections.map(Self.table).joined())</section>
        <section>
        <h2>Configuration</h2>
        <pre tabindex="0">\(Self.escaped(configuration))</pre>
        </section>
        </main>
        <script type="application/json" id="curves">\(curvesJSON)</script>
        <script>
        \(Self.script)
        </script>
        </body>
        </html>

        """
    }

    // MARK: Parts

    private var chartsHTML: String {
        guard !charts.isEmpty else { return "<section><p>No update has been made yet.</p></section>\n" }
        let figures = charts.map { chart in
            let legend = chart.series.enumerated().map { index, series in
                "<li class=\"s\(index % 6)\"><span>\(Self.escaped(series.label))</span> <output></output></li>"
            }.joined()
            let unit = chart.unit.isEmpty ? "" : " <small>\(Self.escaped(chart.unit))</small>"
            return """
                <figure>
                <figcaption><h3>\(Self.escaped(chart.title))\(unit)</h3><ul>\(legend)</ul></figcaption>
                <svg tabindex="0" role="img" aria-label="\(Self.escaped(chart.title))"></svg>
                </figure>

                """
        }.joined()
        return """
            <section aria-labelledby="curves-title">
            <div class="bar"><h2 id="curves-title">Curves</h2>
            <p id="reading" aria-live="polite"></p>
            <label><input type="checkbox" id="log"> logarithmic</label></div>
            <noscript><p>The curves are drawn by a script in this file.</p></noscript>
            <div class="charts">
            \(figures)</div>
            </section>

            """
    }

    private var previewsHTML: String {
        guard let newest = previews.last else { return "" }
        let images = previews.map { preview in
            let data = Data(preview.image.jpeg).base64EncodedString()
            return """
                <figure\(preview.step == newest.step ? "" : " hidden") data-step="\(preview.step)">
                <img alt="Preview at update \(preview.step)" width="\(preview.image.width)" \
                height="\(preview.image.height)" src="data:image/jpeg;base64,\(data)">
                <figcaption>update \(preview.step) · in full: <a href="\(Self.escaped(preview.file))">\
                \(Self.escaped(preview.file))</a></figcaption>
                </figure>

                """
        }.joined()
        return """
            <section aria-labelledby="previews-title" id="previews">
            <div class="bar"><h2 id="previews-title">Previews</h2>
            <label>update <input type="range" id="when" min="0" max="\(previews.count - 1)" \
            value="\(previews.count - 1)"> <output id="shown">\(newest.step)</output></label></div>
            \(images)</section>

            """
    }

    private static func table(_ section: ReportSection) -> String {
        let rows = section.rows.map {
            "<tr><th scope=\"row\">\(escaped($0.name))</th><td>\(escaped($0.value))</td></tr>\n"
        }
        return """
            <div>
            <h2>\(escaped(section.title))</h2>
            <table>
            \(rows.joined())</table>
            </div>

            """
    }

    /// For each chart its series: steps, means, and where they are of several updates, of how many, the lowest and the
    /// highest.
    private var curvesJSON: String {
        let json = JSON.array(
            charts.map { chart in
                .array(
                    chart.series.map { series in
                        let points = series.curve.points
                        func numbers(_ value: (Curve.Point) -> Double) -> JSON {
                            .array(points.map { .number(Self.rounded(value($0))) })
                        }
                        var json = JSON.Object()
                        json["label"] = .string(series.label)
                        json["steps"] = .array(points.map { .integer($0.step) })
                        json["values"] = numbers(\.mean)
                        if series.curve.length > 1 {
                            json["each"] = .integer(series.curve.length)
                            json["lows"] = numbers(\.low)
                            json["highs"] = numbers(\.high)
                        }
                        json["last"] = series.curve.last.map { .number(Self.rounded($0)) }
                        return .object(json)
                    })
            })
        // Within a script element only this could end it.
        return json.text().replacingOccurrences(of: "<", with: "\\u003c")
    }

    /// Six digits, which is more than a screen shows.
    private static func rounded(_ value: Double) -> Double {
        guard value != 0 else { return 0 }
        let digits = 5 - log10(abs(value)).rounded(.down)
        guard abs(digits) < 300 else { return value }
        let scale = pow(10, abs(digits))
        return digits > 0 ? (value * scale).rounded() / scale : (value / scale).rounded() * scale
    }

    /// Text as it can stand in an element or in an attribute's quotes.
    private static func escaped(_ text: String) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            case "\t", "\n": escaped.unicodeScalars.append(scalar)
            case _ where scalar.value < 32: escaped += "\u{FFFD}"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
