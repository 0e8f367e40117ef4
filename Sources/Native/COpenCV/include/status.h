/// How a function of the door to OpenCV says how it went.
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef enum {
    CASCADE_CV_OK = 0,
    CASCADE_CV_BAD_SIZE = 1,  ///< a side of 0, or of more than 32767 pixels, or an element of no points
    CASCADE_CV_FAILED = 2,    ///< OpenCV threw, for want of memory for instance
} CascadeCVStatus;
