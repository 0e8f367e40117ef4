import COpenBLAS
import Glibc

/// OpenBLAS at its best on processors that are newer than it.
enum AlgebraStart {
    private static let variable = "OPENBLAS_CORETYPE"

    /// Starts the program again, once, where OpenBLAS took the processor for an old one: it chooses its kernels when it
    /// is loaded, which OpenCV has done by now, and asks the environment only then. To be called before any work.
    static func chooseKernels() {
        guard getenv(variable) == nil, let core = copenblas_better_core() else { return }
        setenv(variable, core, 1)
        var arguments = CommandLine.arguments.map { strdup($0) } + [nil]
        // Where that fails, the algebra is slower and right all the same.
        execv("/proc/self/exe", &arguments)
        for argument in arguments { free(argument) }
    }
}
