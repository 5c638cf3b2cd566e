/* What Rust's standard library calls to walk the stack. Builds for a router abort on a panic and have no tables to
   walk by, so there is nothing to find. Defined here, these keep libunwind out, and the C library's printf with it. */

#include <stdlib.h>

enum { END_OF_STACK = 5 };

int _Unwind_Backtrace(void *each, void *argument) { (void)each; (void)argument; return END_OF_STACK; }
int _Unwind_RaiseException(void *exception) { (void)exception; return END_OF_STACK; }
void _Unwind_DeleteException(void *exception) { (void)exception; }
void _Unwind_Resume(void *exception) { (void)exception; abort(); }
void *_Unwind_FindEnclosingFunction(void *address) { (void)address; return 0; }
void *_Unwind_GetLanguageSpecificData(void *context) { (void)context; return 0; }
unsigned long _Unwind_GetIP(void *context) { (void)context; return 0; }
unsigned long _Unwind_GetIPInfo(void *context, int *before) { (void)context; *before = 0; return 0; }
unsigned long _Unwind_GetCFA(void *context) { (void)context; return 0; }
unsigned long _Unwind_GetGR(void *context, int index) { (void)context; (void)index; return 0; }
unsigned long _Unwind_GetRegionStart(void *context) { (void)context; return 0; }
unsigned long _Unwind_GetTextRelBase(void *context) { (void)context; return 0; }
unsigned long _Unwind_GetDataRelBase(void *context) { (void)context; return 0; }
void _Unwind_SetGR(void *context, int index, unsigned long value) { (void)context; (void)index; (void)value; }
void _Unwind_SetIP(void *context, unsigned long value) { (void)context; (void)value; }
