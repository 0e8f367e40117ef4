/// What a filter or a kind of adapter does not keep of its contract.
public struct ContractViolation: Error, CustomStringConvertible {
    /// What is not kept, for people.
    public let description: String
}

/// - Throws: a violation where a condition does not hold.
func require(_ condition: Bool, _ what: @autoclosure () -> String) throws {
    if !condition { throw ContractViolation(description: what()) }
}

/// A value that has to be there.
func unwrapped<Value>(_ value: Value?, _ what: @autoclosure () -> String) throws -> Value {
    guard let value else { throw ContractViolation(description: what()) }
    return value
}
