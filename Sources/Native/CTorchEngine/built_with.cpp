// Which libtorch the engine was compiled with, to be read in the file before anything of it is loaded (`ctorch_engine_facts`).
#include <torch/version.h>

extern "C" __attribute__((used, visibility("default"))) const char ctorch_engine_built_with[] =
    "cascade-adapt engine for libtorch " TORCH_VERSION;
