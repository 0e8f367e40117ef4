/// What random numbers are for: each purpose has its own stream, so that none shifts another's.
enum RandomStream {
    static let initialisation: UInt64 = 1
    static let update: UInt64 = 2
    static let validation: UInt64 = 3
    static let preview: UInt64 = 4
    static let filter: UInt64 = 5
    static let rounding: UInt64 = 6
}
