// Line charts as SVG text: readable in a browser, in a document and on paper, in light and dark, with nothing to
// install.
//
// Colours are written as attributes for viewers that know no style sheets, and again as classes that follow the
// reader's preference for dark. Lines differ by dash as well as by colour.

/// A line chart.
public struct SVGChart: Sendable {
    public struct Point: Sendable, Hashable {
        public var x: Double
        public var y: Double
        /// Half the height of the band around the line; 0 for none.
        public var error: Double

        public init(x: Double, y: Double, error: Double = 0) {
            self.x = x
            self.y = y
            self.error = error
        }
    }

    public struct Series: Sendable {
        public let name: String
        public let points: [Point]
        /// Draws a dot at each point: for few, measured points.
        public let hasDots: Bool

        /// Points that are not finite are left out.
        public init(name: String, points: [Point], hasDots: Bool = false) {
            self.name = name
            self.points = points.filter { $0.x.isFinite && $0.y.isFinite && $0.error.isFinite }
            self.hasDots = hasDots
        }
    }

    /// Something that happened: a line across the chart.
    public struct Marker: Sendable, Hashable {
        public var x: Double
        public var label: String

        public init(x: Double, label: String) {
            self.x = x
            self.label = label
        }
    }

    public var title: String
    /// What is measured, over what, and how the band is meant.
    public var note: String
    /// With its unit.
    public var xLabel: String
    public var yLabel: String
    public var xScale: ChartScale
    public var yScale: ChartScale
    public var series: [Series]
    /// Drawn where they lie between the first point and the last.
    public var markers: [Marker] = []

    public init(
        title: String, note: String = "", xLabel: String, yLabel: String,
        xScale: ChartScale = .linear, yScale: ChartScale = .linear, series: [Series]
    ) {
        self.title = title
        self.note = note
        self.xLabel = xLabel
        self.yLabel = yLabel
        self.xScale = xScale
        self.yScale = yScale
        self.series = series
    }

    static let width = 880.0
    static let height = 400.0
    private static let left = 64.0
    private static let right = 24.0
    private static let bottom = 56.0
    static let palette: [(light: String, dark: String, dash: String)] = [
        ("#0b62c4", "#6cb2ff", ""), ("#c2410c", "#ff9e64", "7 4"), ("#0f7b53", "#5cd6a4", "2 3"),
        ("#7a3eb1", "#c9a2ff", "10 3 2 3"), ("#8a6d00", "#e8c547", "5 2"),
        ("#b0246b", "#ff8ac0", "1 3"),
    ]

    private var top: Double { note.isEmpty ? 74 : 94 }

    /// The chart as a document of its own.
    public var svg: String {
        let points = series.flatMap(\.points)
        let x = ChartAxis(xScale, values: points.map(\.x), fromZero: false, count: 7)
        let y = ChartAxis(
            yScale,
            values: points.flatMap { point in
                // A band ends at zero, where what is measured cannot be less.
                [point.y - point.error, point.y + point.error].map {
                    point.y < 0 ? $0 : max(0, $0)
                }
            },
            fromZero: true, count: 5)
        var out = """
            <svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" \
            viewBox="0 0 \(Self.text(Self.width)) \(Self.text(Self.height))" \
            width="\(Self.text(Self.width))" height="\(Self.text(Self.height))" \
            font-family="system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif" font-size="13">
            <title>\(Self.escaped(title))</title>
            <style>\(Self.style)</style>
            <rect class="ground" width="100%" height="100%" fill="#ffffff"/>

            """
        out += label(title, x: 20, y: 30, kind: "strong", size: 17)
        if !note.isEmpty { out += label(note, x: 20, y: 51, kind: "soft") }
        out += legend(y: top - 22)
        out += marks(x, y)
        out += markerLines(x)
        for index in series.indices { out += band(index, x, y) }
        for index in series.indices { out += line(index, x, y) }
        return out + "</svg>\n"
    }

    // MARK: - Parts

    private func legend(y: Double) -> String {
        var at = 20.0
        var out = ""
        for (index, one) in series.enumerated() {
            let colour = Self.palette[index % Self.palette.count]
            out += """
                <line class="stroke\(index % Self.palette.count)" x1="\(Self.text(at))" \
                x2="\(Self.text(at + 26))" y1="\(Self.text(y - 4))" y2="\(Self.text(y - 4))" \
                stroke="\(colour.light)" stroke-width="2.5"\(Self.dash(colour.dash))/>

                """
            out += label(one.name, x: at + 33, y: y, kind: "text")
            // About 7.2 units a character at this size.
            at += 33 + Double(one.name.count) * 7.2 + 26
        }
        return out
    }

    private func marks(_ x: ChartAxis, _ y: ChartAxis) -> String {
        let (low, high) = (Self.height - Self.bottom, Self.width - Self.right)
        var out = ""
        for tick in y.ticks {
            let at = height(tick.value, y)
            let isBase = (at - low).magnitude < 0.5
            out += """
                <line class="\(isBase ? "axis" : "grid")" x1="\(Self.text(Self.left))" \
                x2="\(Self.text(high))" y1="\(Self.text(at))" y2="\(Self.text(at))" \
                stroke="\(isBase ? "#7d8894" : "#e3e6ea")"/>

                """
            out += label(tick.label, x: Self.left - 9, y: at + 4.5, kind: "soft", anchor: "end")
        }
        var previousEnd = -100.0
        for tick in x.ticks {
            let at = place(tick.value, x)
            let half = Double(tick.label.count) * 3.8
            out += """
                <line class="axis" x1="\(Self.text(at))" x2="\(Self.text(at))" \
                y1="\(Self.text(low))" y2="\(Self.text(low + 5))" stroke="#7d8894"/>

                """
            guard at - half > previousEnd + 8, at + half < Self.width else { continue }
            previousEnd = at + half
            out += label(tick.label, x: at, y: low + 20, kind: "soft", anchor: "middle")
        }
        let middle = (Self.left + high) / 2
        out += label(xLabel, x: middle, y: Self.height - 12, kind: "soft", anchor: "middle")
        let side = (top + low) / 2
        out += """
            <text class="soft" fill="#5b6570" text-anchor="middle" \
            transform="translate(17 \(Self.text(side))) rotate(-90)">\(Self.escaped(yLabel))</text>

            """
        return out
    }

    private func markerLines(_ x: ChartAxis) -> String {
        let low = Self.height - Self.bottom
        var out = ""
        for marker in markers where marker.x >= x.low && marker.x <= x.high {
            let at = place(marker.x, x)
            let isRight = at > Self.width - 160
            out += """
                <line class="axis" x1="\(Self.text(at))" x2="\(Self.text(at))" \
                y1="\(Self.text(top))" y2="\(Self.text(low))" stroke="#7d8894" \
                stroke-dasharray="3 3"/>

                """
            out += label(
                marker.label, x: at + (isRight ? -5 : 5), y: top + 11, kind: "soft",
                anchor: isRight ? "end" : nil)
        }
        return out
    }

    private func band(_ index: Int, _ x: ChartAxis, _ y: ChartAxis) -> String {
        let points = series[index].points
        guard points.count > 1, points.contains(where: { $0.error > 0 }) else { return "" }
        let upper = points.map { pair(place($0.x, x), height($0.y + $0.error, y)) }
        let lower = points.reversed().map { pair(place($0.x, x), height($0.y - $0.error, y)) }
        let colour = Self.palette[index % Self.palette.count].light
        return """
            <polygon class="fill\(index % Self.palette.count)" fill="\(colour)" opacity="0.13" \
            points="\((upper + lower).joined(separator: " "))"/>

            """
    }

    private func line(_ index: Int, _ x: ChartAxis, _ y: ChartAxis) -> String {
        let colour = Self.palette[index % Self.palette.count]
        let pairs = series[index].points.map { pair(place($0.x, x), height($0.y, y)) }
        var out = """
            <polyline class="stroke\(index % Self.palette.count)" fill="none" \
            stroke="\(colour.light)" stroke-width="2.2" stroke-linejoin="round" \
            stroke-linecap="round"\(Self.dash(colour.dash)) \
            points="\(pairs.joined(separator: " "))"/>

            """
        if series[index].hasDots || pairs.count == 1 {
            for point in series[index].points {
                out += """
                    <circle class="fill\(index % Self.palette.count)" fill="\(colour.light)" \
                    r="3.5" \
                    cx="\(Self.text(place(point.x, x)))" cy="\(Self.text(height(point.y, y)))"/>

                    """
            }
        }
        return out
    }

    private func label(
        _ text: String, x: Double, y: Double, kind: String, size: Int? = nil, anchor: String? = nil
    ) -> String {
        let colour = kind == "soft" ? "#5b6570" : "#1b1f24"
        let more =
            (size.map { " font-size=\"\($0)\" font-weight=\"600\"" } ?? "")
            + (anchor.map { " text-anchor=\"\($0)\"" } ?? "")
        return """
            <text class="\(kind)" x="\(Self.text(x))" y="\(Self.text(y))" \
            fill="\(colour)"\(more)>\(Self.escaped(text))</text>

            """
    }

    // MARK: - Geometry and text

    private func place(_ value: Double, _ axis: ChartAxis) -> Double {
        Self.left + axis.position(value) * (Self.width - Self.right - Self.left)
    }

    private func height(_ value: Double, _ axis: ChartAxis) -> Double {
        let low = Self.height - Self.bottom
        return low - min(max(axis.position(value), 0), 1) * (low - top)
    }

    private func pair(_ x: Double, _ y: Double) -> String { "\(Self.text(x)),\(Self.text(y))" }

    private static func text(_ value: Double) -> String {
        value == value.rounded() ? fixed(value, 0) : fixed(value, 1)
    }

    private static func dash(_ pattern: String) -> String {
        pattern.isEmpty ? "" : " stroke-dasharray=\"\(pattern)\""
    }

    static func escaped(_ text: String) -> String {
        var out = ""
        for character in text.unicodeScalars {
            switch character {
            case "&": out += "&amp;"
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "\"": out += "&quot;"
            case "\u{0}"..<"\u{20}": out += " "
            default: out.unicodeScalars.append(character)
            }
        }
        return out
    }

    private static var style: String {
        var dark =
            ".chart .ground{fill:#14181d}.chart .strong,.chart .text{fill:#e6e8eb}"
            + ".chart .soft{fill:#9aa4af}.chart .grid{stroke:#2c333b}.chart .axis{stroke:#77828d}"
        for (index, colour) in palette.enumerated() {
            dark += ".chart .stroke\(index){stroke:\(colour.dark)}"
            dark += ".chart .fill\(index){fill:\(colour.dark)}"
        }
        return ".chart{max-width:100%;height:auto}@media(prefers-color-scheme:dark){\(dark)}"
    }
}
