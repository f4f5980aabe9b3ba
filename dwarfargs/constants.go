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
	tagLexicalBlock     tag = 0x0b
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
	tagInlinedRoutine   tag = 0x1d
	tagSubrangeType     tag = 0x21
	tagBaseType         tag = 0x24
	tagConstType        tag = 0x26
	tagSubprogram       tag = 0x2e
	tagVariable         tag = 0x34
	tagVolatileType     tag = 0x35
	tagRestrictType     tag = 0x37
	tagUnspecifiedType  tag = 0x3b
	tagPartialUnit      tag = 0x3c
	tagRvalueReference  tag = 0x42
	tagAtomicType       tag = 0x47
	tagSkeletonUnit     tag = 0x4a
)

type attrID uint32

const (
	attrName           attrID = 0x03
	attrByteSize       attrID = 0x0b
	attrStmtList       attrID = 0x10
	attrLowPC          attrID = 0x11
	attrHighPC         attrID = 0x12
	attrLanguage       attrID = 0x13
	attrInline         attrID = 0x20
	attrUpperBound     attrID = 0x2f
	attrProducer       attrID = 0x25
	attrAbstractOrigin attrID = 0x31
	attrCount          attrID = 0x37
	attrMemberLocation attrID = 0x38
	attrDeclFile       attrID = 0x3a
	attrDeclLine       attrID = 0x3b
	attrDeclaration    attrID = 0x3c
	attrEncoding       attrID = 0x3e
	attrFrameBase      attrID = 0x40
	attrSpecification  attrID = 0x47
	attrType           attrID = 0x49
	attrVariableParam  attrID = 0x4b
	attrRanges         attrID = 0x55
	attrCallFile       attrID = 0x58
	attrCallLine       attrID = 0x59
	attrTrampoline     attrID = 0x56
	attrLocation       attrID = 0x02
	attrBitSize        attrID = 0x0d
	attrStrOffsetsBase attrID = 0x72
	attrAddrBase       attrID = 0x73
	attrRnglistsBase   attrID = 0x74
	attrLoclistsBase   attrID = 0x8c
	attrAlignment      attrID = 0x88
	attrLinkageName    attrID = 0x6e

	// cmd/internal/dwarf/dwarf_defs.go.
	attrGoKind          attrID = 0x2900
	attrGoKey           attrID = 0x2901
	attrGoElem          attrID = 0x2902
	attrGoEmbeddedField attrID = 0x2903
	attrGoRuntimeType   attrID = 0x2904
	attrGoPackageName   attrID = 0x2905
	attrGoDictIndex     attrID = 0x2906
	attrGoClosureOffset attrID = 0x2907
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
