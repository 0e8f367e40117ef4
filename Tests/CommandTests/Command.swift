import Foundation
import TestSupport
import Testing
import Torch
import Weights

/// The built program, run as a person runs it.
enum Command {
    struct Outcome {
        let status: Int32
        let output: String
        let errors: String
        /// Whether it ended by itself, and not by a signal.
        let exited: Bool

        /// The lines on standard error.
        var errorLines: [Substring] { errors.split(separator: "\n") }
    }

    /// The program lies beside the tests.
    static let program: String = {
        let tests = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(fileURLWithPath: tests).deletingLastPathComponent().appendingPathComponent("cascade-adapt").path
    }()

    /// - Parameters:
    ///   - folder: the working folder.
    ///   - meanwhile: called once the program runs.
    static func run(
        _ arguments: [String], in folder: String? = nil, environment: [String: String] = [:], program: String = program,
        meanwhile: (Process) -> Void = { _ in }
    ) throws -> Outcome {
        let scratch = try Scratch()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        if let folder { process.currentDirectoryURL = URL(fileURLWithPath: folder) }
        // One thread: many of these run side by side.
        process.environment = ProcessInfo.processInfo.environment
            .merging(["OMP_NUM_THREADS": "1"]) { $1 }.merging(environment) { $1 }
        // Files take what pipes would block on.
        func file(_ name: String) throws -> FileHandle {
            try Data().write(to: URL(fileURLWithPath: scratch[name]))
            return try FileHandle(forWritingTo: URL(fileURLWithPath: scratch[name]))
        }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try file("output")
        process.standardError = try file("errors")
        try process.run()
        meanwhile(process)
        process.waitUntilExit()
        func text(_ name: String) throws -> String {
            String(decoding: try Data(contentsOf: URL(fileURLWithPath: scratch[name])), as: UTF8.self)
        }
        return Outcome(
            status: process.terminationStatus, output: try text("output"), errors: try text("errors"),
            exited: process.terminationReason == .exit)
    }
}

/// Expects a refusal: the status, nothing on standard output, and one line of error with at most one of advice.
func expectRefusal(
    _ arguments: [String], status: Int32 = 2, saying parts: String..., in folder: String? = nil,
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let outcome = try Command.run(arguments, in: folder)
    #expect(outcome.exited && outcome.status == status, "\(outcome)", sourceLocation: sourceLocation)
    #expect(outcome.output.isEmpty, "\(outcome)", sourceLocation: sourceLocation)
    let lines = outcome.errorLines
    #expect(lines.first?.hasPrefix("error: ") == true && lines.count <= 2, "\(outcome)", sourceLocation: sourceLocation)
    for part in parts { #expect(outcome.errors.contains(part), "\(outcome)", sourceLocation: sourceLocation) }
}

/// Runs a command that must do its work, and gives what it prints.
@discardableResult
func expectSuccess(
    _ arguments: [String], in folder: String? = nil, sourceLocation: SourceLocation = #_sourceLocation
) throws -> String {
    let outcome = try Command.run(arguments, in: folder)
    #expect(outcome.exited && outcome.status == 0, "\(outcome)", sourceLocation: sourceLocation)
    #expect(!outcome.errors.contains("error:"), "\(outcome)", sourceLocation: sourceLocation)
    return outcome.output
}
