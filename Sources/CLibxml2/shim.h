#pragma once
// With libicu-dev installed, libxml2's encoding.h pulls in ICU headers that clash with
// the ICU inside Foundation. Goes away when Debian builds libxml2 without ICU.
#include <libxml/xmlversion.h>
#undef LIBXML_ICU_ENABLED
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/xmlwriter.h>

// xmlFree is a variable that points to a function, which Swift takes for shared mutable state.
static inline void pumiceFreeXMLString(xmlChar *text) { xmlFree(text); }
