import Failures
import Files
import Glibc
import JSON
import Telemetry
import Testing

private func metrics(_ step: Int, loss: Double = 0.5) -> UpdateMetrics {
    UpdateMetrics(
        step: step, loss: loss, rawLoss: 0.75, gradNorm: 1.5, lr: 1e-4, seconds: 0.25, samplesPerSecond: 16,
        dataSeconds: 0.125)
}

/// A path in a folder of its own, removed afterwards.
private func withPath(_ body: (String) throws -> Void) throws {
    var template = Array("/tmp/metrics.XXXXXX".utf8CString)
    let folder = try #require(mkdtemp(&template).map { String(cString: $0) })
    let path = folder + "/metrics.jsonl"
    defer {
        unlink(path)
        rmdir(folder)
    }
    try body(path)
    #expect(access(folder, W_OK) == 0)
}

private func read(_ path: String) throws -> String {
    String(decoding: try readFile(path), as: UTF8.self)
}

@Suite struct Metrics {
    @Test func `each update is one line, there at once`() throws {
        try withPath { path in
            let log = try MetricsLog(path: path, resumeAfter: 0)
            try log.append(metrics(1))
            #expect(
                try read(path)
                    == "{\"step\":1,\"loss\":0.5,\"raw_loss\":0.75,\"grad_norm\":1.5,\"lr\":0.0001,\"seconds\":0.25,"
                    + "\"samples_per_second\":16.0,\"data_seconds\":0.125}\n")
            try log.append(metrics(2, loss: .nan))
            let last = try #require(read(path).split(separator: "\n").last)
            #expect(try JSON.parse(String(last), file: path)["loss"]?.isNull == true)
        }
    }

    @Test func `a resumed run cuts off what lies past its step, and torn lines`() throws {
        try withPath { path in
            let log = try MetricsLog(path: path, resumeAfter: 0)
            for step in 1...5 { try log.append(metrics(step)) }
            let whole = try read(path)
            try writeAtomically(whole + "{\"step\":6,\"lo", to: path)
            #expect(try steps(path, resumeAfter: 9) == [1, 2, 3, 4, 5])
            #expect(try read(path) == whole)
            #expect(try steps(path, resumeAfter: 3) == [1, 2, 3])
            try writeAtomically("\0\0\0\n{\"step\":1}\n\n{\"step\":\"2\"}\n{\"step\":2}", to: path)
            #expect(try steps(path, resumeAfter: 3) == [1])
            #expect(try steps(path, resumeAfter: 0) == [])
        }
    }

    private func steps(_ path: String, resumeAfter step: Int) throws -> [Int] {
        _ = try MetricsLog(path: path, resumeAfter: step)
        return try read(path).split(separator: "\n").map {
            try JSON.parse(String($0), file: path)["step"]?.intValue ?? -1
        }
    }

    @Test func `lines follow what was kept`() throws {
        try withPath { path in
            for (resume, step) in [(0, 1), (1, 2), (1, 2), (2, 3)] {
                try MetricsLog(path: path, resumeAfter: resume).append(metrics(step))
            }
            #expect(try steps(path, resumeAfter: 100) == [1, 2, 3])
        }
    }

    @Test func `a place that cannot be written is a failure`() {
        let failure = #expect(throws: Failure.self) { try MetricsLog(path: "/none/metrics.jsonl", resumeAfter: 0) }
        #expect(failure?.description == "/none/metrics.jsonl: can't write the file, got No such file or directory")
        #expect(failure?.blame == .input)
        let full = #expect(throws: Failure.self) {
            let log = try MetricsLog(path: "/dev/full", resumeAfter: 0)
            try log.append(metrics(1))
        }
        #expect(full?.blame == .run && full?.got == "No space left on device")
    }
}
