/// What makes a sample of a dataset one to train on: its image, its caption, the conditions on its JSON.
public struct SampleReading: Sendable {
    /// Where captions come from: the `txt` member by default.
    public var captions: Captions
    /// All of them apply, also several on one field.
    public var filters: [SampleFilter]
    /// Where the masks of images are found; nil where none are wanted.
    public var masks: SampleMasks?

    /// - Parameters:
    ///   - captions: where captions come from.
    ///   - filters: conditions that a sample must meet, all of them.
    public init(captions: Captions = Captions(), filters: [SampleFilter] = []) {
        self.captions = captions
        self.filters = filters
    }

    /// Why the sample can't be trained on as far as can be told without decoding its image; nil if nothing is wrong.
    public func reasonToDrop(_ sample: Sample) -> String? {
        if sample.image == nil { return sample.absence }
        if let masks, !masks.holds(sample) { return SampleMasks.absence }
        let facts = SampleFacts(sample, wantsFields: captions.wantFields || !filters.isEmpty)
        if case .failure(let absence) = captions.caption(of: facts) { return absence.rawValue }
        return filters.lazy.compactMap { $0.reasonToDrop(facts) }.first
    }

    /// The caption of a sample that is not dropped; nil where there is none.
    /// - Parameter draw: a number in 0..<1 that decides where chance has a say.
    public func caption(of sample: Sample, draw: Double) -> String? {
        try? captions.caption(of: SampleFacts(sample, wantsFields: captions.wantFields), draw: draw).get()
    }
}
