package dwarfargs

// Numbers of the DWARF 5 standard, §7.5 (tags, attributes, forms), §7.7.3
// (location lists), §7.8 (base type encodings), §7.25 (range lists), and of
// GNU extensions that gcc writes into DWARF 4.

type tag uint32

const (
	tagArrayType        tag = 0x01
	tagClassType        tag = 0x02
	tagEnumerationType  tag = 0x04
	tagFormalParameter  tag = 0x05
	tagMember           tag = 0x0d
	tagPointerType      tag = 0x0f
	tagReferenceType    tag = 0x10
	tagCompileUnit      tag = 0x11
	tagStructureType    tag = 0x13
	tagSubroutineType   tag = 0x15
	tagTypedef          tag = 0x16
	tagUnionType        tag = 0x17
	tagUnspecifiedParam tag = 0x18
	tagInheritance      tag = 0x1c
	tagSubrangeType     tag = 0x21
	tagBaseType         tag = 0x24
	tagConstType        tag = 0x26
	tagSubprogram       tag = 0x2e
	tagVolatileType     tag = 0x35
	tagRestrictType     tag = 0x37
	tagUnspecifiedType  tag = 0x3b
	tagPartialUnit      tag = 0x3c
	tagRvalueReference  tag = 0x42
	tagAtomicType       tag = 0x47
	tagSkeletonUnit     tag = 0x4a
)

type attrName uint32

const (
	attrName_          attrName = 0x03
	attrByteSize       attrName = 0x0b
	attrStmtList       attrName = 0x10
	attrLowPC          attrName = 0x11
	attrHighPC         attrName = 0x12
	attrLanguage       attrName = 0x13
	attrInline         attrName = 0x20
	attrUpperBound     attrName = 0x2f
	attrProducer       attrName = 0x25
	attrAbstractOrigin attrName = 0x31
	attrCount          attrName = 0x37
	attrMemberLocation attrName = 0x38
	attrDeclFile       attrName = 0x3a
	attrDeclLine       attrName = 0x3b
	attrDeclaration    attrName = 0x3c
	attrEncoding       attrName = 0x3e
	attrFrameBase      attrName = 0x40
	attrSpecification  attrName = 0x47
	attrType           attrName = 0x49
	attrVariableParam  attrName = 0x4b
	attrRanges         attrName = 0x55
	attrTrampoline     attrName = 0x56
	attrLocation       attrName = 0x02
	attrBitSize        attrName = 0x0d
	attrStrOffsetsBase attrName = 0x72
	attrAddrBase       attrName = 0x73
	attrRnglistsBase   attrName = 0x74
	attrLoclistsBase   attrName = 0x8c
	attrAlignment      attrName = 0x88
	attrLinkageName    attrName = 0x6e

	// cmd/internal/dwarf/dwarf_defs.go.
	attrGoKind          attrName = 0x2900
	attrGoKey           attrName = 0x2901
	attrGoElem          attrName = 0x2902
	attrGoEmbeddedField attrName = 0x2903
	attrGoRuntimeType   attrName = 0x2904
	attrGoDictIndex     attrName = 0x2906
)

type form uint32

const (
	formAddr          form = 0x01
	formBlock2        form = 0x03
	formBlock4        form = 0x04
	formData2         form = 0x05
	formData4         form = 0x06
	formData8         form = 0x07
	formString        form = 0x08
	formBlock         form = 0x09
	formBlock1        form = 0x0a
	formData1         form = 0x0b
	formFlag          form = 0x0c
	formSdata         form = 0x0d
	formStrp          form = 0x0e
	formUdata         form = 0x0f
	formRefAddr       form = 0x10
	formRef1          form = 0x11
	formRef2          form = 0x12
	formRef4          form = 0x13
	formRef8          form = 0x14
	formRefUdata      form = 0x15
	formIndirect      form = 0x16
	formSecOffset     form = 0x17
	formExprloc       form = 0x18
	formFlagPresent   form = 0x19
	formStrx          form = 0x1a
	formAddrx         form = 0x1b
	formRefSup4       form = 0x1c
	formStrpSup       form = 0x1d
	formData16        form = 0x1e
	formLineStrp      form = 0x1f
	formRefSig8       form = 0x20
	formImplicitConst form = 0x21
	formLoclistx      form = 0x22
	formRnglistx      form = 0x23
	formRefSup8       form = 0x24
	formStrx1         form = 0x25
	formStrx2         form = 0x26
	formStrx3         form = 0x27
	formStrx4         form = 0x28
	formAddrx1        form = 0x29
	formAddrx2        form = 0x2a
	formAddrx3        form = 0x2b
	formAddrx4        form = 0x2c
	formGNUAddrIndex  form = 0x1f01 // split DWARF 4
	formGNUStrIndex   form = 0x1f02
	formGNURefAlt     form = 0x1f20
	formGNUStrpAlt    form = 0x1f21
)

const (
	langGo = 0x16

	utCompile      = 0x01 // DW_UT_…
	utPartial      = 0x03
	utSkeleton     = 0x04
	utSplitCompile = 0x05
	utType         = 0x02
	utSplitType    = 0x06

	ateAddress      = 0x01 // DW_ATE_…
	ateBoolean      = 0x02
	ateComplexFloat = 0x03
	ateFloat        = 0x04
	ateSigned       = 0x05
	ateSignedChar   = 0x06
	ateUnsigned     = 0x07
	ateUnsignedChar = 0x08
	ateUTF          = 0x10

	lleEndOfList       = 0x00 // DW_LLE_…
	lleBaseAddressx    = 0x01
	lleStartxEndx      = 0x02
	lleStartxLength    = 0x03
	lleOffsetPair      = 0x04
	lleDefaultLocation = 0x05
	lleBaseAddress     = 0x06
	lleStartEnd        = 0x07
	lleStartLength     = 0x08
	lleGNUViewPair     = 0x09

	rleEndOfList    = 0x00 // DW_RLE_…
	rleBaseAddressx = 0x01
	rleStartxEndx   = 0x02
	rleStartxLength = 0x03
	rleOffsetPair   = 0x04
	rleBaseAddress  = 0x05
	rleStartEnd     = 0x06
	rleStartLength  = 0x07
)
