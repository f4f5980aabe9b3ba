#include "textflag.h"

TEXT ·Add(SB), NOSPLIT, $0-12
	MOVL a+0(FP), AX
	ADDL b+4(FP), AX
	MOVL AX, ret+8(FP)
	RET

TEXT ·Back(SB), $8-8
	MOVL a+0(FP), AX
	MOVL AX, 0(SP)
	CALL ·called(SB)
	MOVL 4(SP), AX
	MOVL AX, ret+4(FP)
	RET
