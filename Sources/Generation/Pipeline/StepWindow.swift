/// The steps in which something takes part, as shares of all: from the first, up to and without the second.
public struct StepWindow: Equatable, Sendable {
    /// From 0 to 1; the step that begins here takes part.
    public let from: Double
    /// From 0 to 1, above `from`; the step that begins here takes no part.
    public let until: Double

    /// Nil where these are no shares, or the window would be empty.
    public init?(from: Double, until: Double) {
        guard from >= 0, until <= 1, from < until else { return nil }
        (self.from, self.until) = (from, until)
    }

    private init() { (from, until) = (0, 1) }

    /// All steps.
    public static let all = StepWindow()

    func holds(_ step: Int, of steps: Int) -> Bool {
        let share = Double(step) / Double(steps)
        return share >= from && share < until
    }
}
