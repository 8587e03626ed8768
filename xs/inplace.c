/* inplace.c - whether perl is about to write octets into a string without changing
 * its length: by substr with four arguments, or to what substr and vec have returned.
 *
 * The only file that looks at perl's operators and their operands, and nothing but
 * speed: without it such an operator changes a copy of a whole mapping (mapped.c). */
#include "mapped.h"

/* Whether `count` octets would replace as many of the string. The length may
 * be missing; both can be negative, as with substr. */
static bool fits(size_t size, IV offset, bool has_length, IV length, STRLEN count)
{
  if (offset < 0)
    offset += (IV)size;
  if (offset < 0 || (size_t)offset > size)
    return FALSE;
  if (!has_length || length > (IV)size - offset)
    length = (IV)size - offset;
  else if (length < 0)
    length += (IV)size - offset;
  return length >= 0 && (STRLEN)length == count;
}

/* A number that can be had without calling anything. */
static bool plain_number(pTHX_ SV *sv, IV *n)
{
  if (!sv || SvGMAGICAL(sv) || !SvNIOK(sv) || SvIsUV(sv))
    return FALSE;
  *n = SvIV_nomg(sv);
  return TRUE;
}

/* The op of the four-argument substr: scalar, offset, length, replacement, of
 * which the last may come first, and the length be missing then. */
static bool substr_keeps_length(pTHX_ const SV *sv, size_t size)
{
  int nargs = PL_op->op_private & 7;
  SV **sp = PL_stack_sp, *replacement;
  IV offset, length = 0;
  bool first = cBOOL(PL_op->op_private & OPpSUBSTR_REPL_FIRST), has_length = nargs > 2;

  if (sp - PL_stack_base < nargs + first || (!first && nargs != 4))
    return FALSE;
  replacement = first ? sp[-nargs] : *sp--;
  if (has_length && !plain_number(aTHX_ *sp--, &length))
    return FALSE;
  return plain_number(aTHX_ sp[0], &offset) && sp[-1] == sv
    && replacement && SvPOK(replacement) && !SvGMAGICAL(replacement) && !SvUTF8(replacement)
    && fits(size, offset, has_length, length, SvCUR(replacement));
}

/* What substr and vec return to be assigned to. A vec that reaches beyond the
 * end makes perl move the string, which needs no help. */
static bool lvalue_keeps_length(const SV *lv, size_t size)
{
  IV offset, length;

  if (LvTYPE(lv) == 'v')
    return TRUE;
  if (LvTYPE(lv) != 'x' || !SvPOKp(lv) || SvUTF8(lv) || SvROK(lv)
      || LvTARGOFF(lv) > (STRLEN)IV_MAX || LvTARGLEN(lv) > (STRLEN)IV_MAX)
    return FALSE;
  offset = LvFLAGS(lv) & LVf_NEG_OFF ? -(IV)LvTARGOFF(lv) : (IV)LvTARGOFF(lv);
  length = LvFLAGS(lv) & LVf_NEG_LEN ? -(IV)LvTARGLEN(lv) : (IV)LvTARGLEN(lv);
  return fits(size, offset, !(LvFLAGS(lv) & LVf_NEG_LEN && !length), length, SvCUR(lv));
}

bool aio_op_keeps_length(pTHX_ const SV *sv, size_t size)
{
  SV **sp = PL_stack_sp;

  if (!PL_op)
    return FALSE;
  if (PL_op->op_type == OP_SUBSTR)
    return substr_keeps_length(aTHX_ sv, size);
  for (int i = 0; i < 2 && sp > PL_stack_base; i++, sp--)
    if (*sp && SvTYPE(*sp) == SVt_PVLV && LvTARG(*sp) == sv)
      return lvalue_keeps_length(*sp, size);
  return FALSE;
}
