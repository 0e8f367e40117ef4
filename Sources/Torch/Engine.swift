import CMemory
import CTorch
import Failures
import Files
import Glibc

/// The engine library and what was tried to find it.
///
/// libtorch is loaded on first use and never linked: help screens and `doctor` work where it is missing.
public struct Engine: @unchecked Sendable {
    /// A place that was tried and what came of it.
    public struct Attempt: Sendable {
        /// The file of the engine library that was tried.
        public let path: String
        /// Nil where the engine was opened.
        public let problem: String?
        /// The version of libtorch that a library there lacks; nil where that is not what is missing.
        public var lackedTorch: String?
    }

    let table: UnsafePointer<CTorchTable>
    /// The file that the engine was opened from.
    public let path: String

    private static let opening = tryEach(of: candidates(), TorchSearch())

    /// The engine of this process, opened once.
    static let opened: Result<Engine, Failure> = result(of: opening, TorchSearch()).flatMap { engine in
        engine.kernelsProblem.map { .failure($0) } ?? .success(engine)
    }

    /// The engine of this process.
    /// - Throws: a `Failure` of the run that lists every place tried.
    public static func shared() throws -> Engine { try opened.get() }

    /// Every place that was tried for the engine of this process.
    public static var attempts: [Attempt] { opening.attempts }

    /// Where the engine is looked for, in order: `CASCADE_ENGINE`, beside the program, and `lib` beside its folder.
    public static func candidates() -> [String] {
        let home = programFolder
        let name = "libCTorchEngine.so"
        let named = getenv("CASCADE_ENGINE").map { [String(cString: $0)] } ?? []
        return named + ["\(home)/\(name)", "\(parentFolder(of: home))/lib/\(name)"]
    }

    /// The folder of the program that runs, without links on the way.
    public static var programFolder: String {
        var folder = [CChar](repeating: 0, count: 4096)
        ctorch_executable_folder(&folder, folder.count)
        return String(decoding: folder.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Opens the first of `paths` that works, each with the libtorch that a search finds for it.
    public static func open(from paths: [String], _ search: TorchSearch = TorchSearch()) -> Result<Engine, Failure> {
        result(of: tryEach(of: paths, search), search)
    }

    private static func tryEach(of paths: [String], _ search: TorchSearch) -> (engine: Engine?, attempts: [Attempt]) {
        var attempts: [Attempt] = []
        for path in paths {
            if access(path, R_OK) != 0 {
                attempts.append(Attempt(path: path, problem: "no such file"))
                continue
            }
            let file = EngineFile(path)
            let (torch, tried) = search.find(for: file)
            guard let torch else {
                let places = tried.map { "\($0.name): \($0.problem ?? "serves")" }.joined(separator: ", ")
                attempts.append(
                    Attempt(
                        path: path,
                        problem: "found no torch \(file.builtWith.map(TorchFolder.minor) ?? "") for it: \(places)",
                        lackedTorch: file.builtWith ?? ""))
                continue
            }
            var found: UnsafePointer<CTorchTable>?
            let (status, message) = withErrorMessage { ctorch_open(path, torch.libraries, &found, $0, $1) }
            guard status == 0, let found else {
                attempts.append(Attempt(path: path, problem: message))
                continue
            }
            let engine = Engine(table: found, path: path)
            if TorchFolder.areAlike(engine.version, engine.builtWith) {
                attempts.append(Attempt(path: path, problem: nil))
                return (engine, attempts)
            }
            attempts.append(
                Attempt(
                    path: path,
                    problem: "\(torch.path) is torch \(engine.version), the engine was built with \(engine.builtWith)",
                    lackedTorch: engine.builtWith))
        }
        return (nil, attempts)
    }

    private static func result(
        of opening: (engine: Engine?, attempts: [Attempt]), _ search: TorchSearch
    ) -> Result<Engine, Failure> {
        if let engine = opening.engine { return .success(engine) }
        let tried = opening.attempts.map { "\($0.path) (\($0.problem ?? "opened"))" }.joined(separator: "; ")
        let lacked = opening.attempts.lazy.compactMap(\.lackedTorch).first
        let advice: String
        if search.isNamed, let lacked {
            advice = "let LIBTORCH name the folder of a torch \(TorchFolder.minor(lacked)), or unset it"
        } else if search.installedCopy != nil, let lacked {
            advice =
                "`cascade-adapt engine install` gets a private copy of torch \(lacked); or let LIBTORCH name the folder of one, "
                + "or python3 have it"
        } else {
            advice = "`make setup build` finds or fetches libtorch and builds the engine; see `cascade-adapt doctor`"
        }
        return .failure(.run("libtorch could not be loaded: tried \(tried)", advice: advice))
    }

    /// What is wrong with the kernels that the environment asks for.
    private var kernelsProblem: Failure? {
        guard let problem = table.pointee.kernels_problem() else { return nil }
        let name = Processor.kernelsVariable
        return .input(
            "\(name): \(String(cString: problem))", expected: text(table.pointee.kernels_at_hand()),
            got: getenv(name).map { String(cString: $0) } ?? "",
            advice: "unset \(name): the fastest that this processor has are then chosen")
    }

    /// The version of the libtorch in use, such as "2.13.0".
    public var version: String { text(table.pointee.version()) }

    /// The version of the libtorch that the engine was compiled with.
    public var builtWith: String { text(table.pointee.built_with) }

    /// The file from which the engine's side of the process takes a symbol, such as `sgemm_`.
    public func library(of symbol: String) -> String { text(table.pointee.library_path(symbol)) }

    /// Threads that one operator may use which the calling thread asks for.
    public var threads: Int { Int(table.pointee.threads()) }

    /// Sets the number of threads that one operator may use, for the calling thread and all that begin later.
    public func setThreads(_ count: Int) throws { try check(table.pointee.set_threads(Int32(clamping: count))) }

    /// Sets the number of threads for operators that the calling thread asks for, and for no other thread.
    public func setThreadsOfThisThread(_ count: Int) throws {
        try check(table.pointee.set_own_threads(Int32(clamping: count)))
    }

    /// For tests: of the allocations on the CPU that the calling thread asks for from now on, lets one fail as it would where
    /// memory ends.
    /// - Parameter number: counted from 1; nil lets none fail.
    public func failAllocation(_ number: Int?) throws { try check(table.pointee.fail_allocation(Int64(number ?? 0))) }

    /// Hands what is kept of freed memory for later tensors back to the system: for after something rare that took much.
    public static func releaseMemory() {
        if case .success(let engine) = opened { engine.table.pointee.release_memory() }
        cascade_memory_release()
    }

    /// CUDA devices in reach.
    public var cudaDevices: Int { Int(table.pointee.cuda_devices()) }

    /// Tensor handles alive in this process.
    public var liveTensors: Int { Int(table.pointee.live_tensors()) }

    /// Bytes that tensors on the CPU take, those of mapped files among them, and the most that they took at a time since
    /// ``resetTensorBytes()``.
    public var tensorBytes: (now: Int, most: Int) {
        var (now, most): (Int64, Int64) = (0, 0)
        table.pointee.tensor_bytes(&now, &most)
        return (Int(now), Int(most))
    }

    /// Starts a new measurement for the most of ``tensorBytes``.
    public func resetTensorBytes() { table.pointee.reset_tensor_bytes() }

    /// Waits until the device has done all it was asked.
    public func synchronize(_ device: Device) throws { try check(table.pointee.synchronize(device.raw)) }

    /// The most bytes that tensors took on a CUDA device since `resetPeakMemory`.
    public func peakMemory(_ device: Device) throws -> Int {
        var bytes: Int64 = 0
        try check(table.pointee.peak_memory(device.raw, &bytes))
        return Int(bytes)
    }

    /// Starts a new measurement for `peakMemory`.
    public func resetPeakMemory(_ device: Device) throws { try check(table.pointee.reset_peak_memory(device.raw)) }

    private func text(_ pointer: UnsafePointer<CChar>?) -> String { pointer.map { String(cString: $0) } ?? "" }

    /// Turns a status of the door into an error that carries the engine's message.
    func check(_ status: Int32, _ operation: @autoclosure () -> String = "libtorch") throws {
        guard status != 0 else { return }
        let message = text(table.pointee.last_error())
        let firstLine = message.split(separator: "\n").first.map(String.init) ?? "unknown error"
        var failure = Failure.run("\(operation()): \(firstLine)")
        failure.lacksMemory = status == CTORCH_NO_MEMORY
        throw failure
    }
}

/// The table of the engine that every tensor of this process came from.
///
/// A tensor exists only after the engine was opened, so this can't fail where it is used.
var engineTable: UnsafePointer<CTorchTable> {
    switch Engine.opened {
    case .success(let engine): engine.table
    case .failure(let failure): preconditionFailure("a tensor without an engine: \(failure)")
    }
}
