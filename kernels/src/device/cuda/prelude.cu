// Put in front of every kernel. NVRTC has no header files, so what others include stands here.
typedef unsigned int u32;
typedef int i32;

#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fc00000)
