// The library behind the door: opened by `ctorch_open`, never linked.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

struct CTorchTable;
__attribute__((visibility("default"))) const struct CTorchTable *ctorch_engine_table(void);

#ifdef __cplusplus
}
#endif
