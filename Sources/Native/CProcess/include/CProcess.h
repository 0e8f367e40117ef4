/// The door to what the kernel does with processes.
#pragma once

/// Has the kernel end this process by SIGKILL when the one that started it ends.
/// - Returns: 0, or another value where `parent` is not the one that started it, or is no more.
int cascade_process_end_with(int parent);
