import CLibxml2
import PumiceModel

extension XMLElement {
  /// How much XML is looked at: libvirt itself sends no more than 4 MiB in one string.
  static let maximumSize = 4 << 20
  /// How deep elements may lie in each other. Domain XML needs about ten.
  static let maximumDepth = 64

  /// Reads one well-formed document, strictly: nothing is fetched, nothing substituted, nothing repaired.
  ///
  /// Refuses with `failed` what is broken, too large, too deep, or has a document type declaration, with which every
  /// entity trick begins. `subject` names the document in the message.
  init(parsing text: String, as subject: String) throws(StorageError) {
    guard text.utf8.count <= Self.maximumSize else {
      throw StorageError(
        .failed, "\(subject) is larger than \(ByteCount(Int64(Self.maximumSize))), so it was not read.")
    }
    _ = Self.parserIsReady
    guard let context = xmlNewParserCtxt() else {
      throw StorageError(.unavailable, "\(subject) could not be read: out of memory.")
    }
    defer { xmlFreeParserCtxt(context) }
    context.pointee.sax.pointee.internalSubset = refuseDoctype

    let options = XML_PARSE_NONET.rawValue | XML_PARSE_NOERROR.rawValue | XML_PARSE_NOWARNING.rawValue
    var text = text
    let document = text.withUTF8 { bytes in
      bytes.withMemoryRebound(to: CChar.self) {
        xmlCtxtReadMemory(context, $0.baseAddress, Int32($0.count), nil, "UTF-8", Int32(options))
      }
    }
    defer { xmlFreeDoc(document) }
    guard let document, context.pointee.wellFormed == 1, let root = xmlDocGetRootElement(document) else {
      throw StorageError(.failed, "\(subject) is not well-formed XML: \(Self.problem(of: context)).")
    }
    try self.init(node: root, depth: 0, subject)
  }

  private static func problem(of context: xmlParserCtxtPtr) -> String {
    if context.pointee.errNo == XML_ERR_USER_STOP.rawValue { return "a document type declaration is not allowed" }
    guard let error = xmlCtxtGetLastError(context), let message = error.pointee.message else {
      return "no reason known"
    }
    let sentence = String(cString: message).split(whereSeparator: \.isNewline).joined(separator: " ")
    return "\(sentence) (line \(error.pointee.line))"
  }

  private init(node: xmlNodePtr, depth: Int, _ subject: String) throws(StorageError) {
    guard depth < Self.maximumDepth else {
      throw StorageError(
        .failed, "\(subject) has elements more than \(Self.maximumDepth) deep in each other, so it was not read.")
    }
    self.init(name: Self.qualifiedName(node.pointee.name, node.pointee.ns), attributes: [], children: [])

    var declaration = node.pointee.nsDef
    while let current = declaration {
      let name = current.pointee.prefix.map { "xmlns:\(Self.string($0))" } ?? "xmlns"
      attributes.append(Attribute(name: name, value: Self.string(current.pointee.href)))
      declaration = current.pointee.next
    }
    var attribute = node.pointee.properties
    while let current = attribute {
      let value = xmlNodeListGetString(node.pointee.doc, current.pointee.children, 1)
      defer { pumiceFreeXMLString(value) }
      attributes.append(
        Attribute(name: Self.qualifiedName(current.pointee.name, current.pointee.ns), value: Self.string(value)))
      attribute = current.pointee.next
    }

    var child = node.pointee.children
    while let current = child {
      let content = Self.string(current.pointee.content)
      switch current.pointee.type {
      case XML_ELEMENT_NODE: children.append(.element(try XMLElement(node: current, depth: depth + 1, subject)))
      case XML_TEXT_NODE, XML_CDATA_SECTION_NODE: append(text: content)
      case XML_COMMENT_NODE: children.append(.comment(content))
      case XML_PI_NODE:
        children.append(.instruction(target: Self.string(current.pointee.name), content: content))
      case let type:
        throw StorageError(.failed, "\(subject) has a kind of node (\(type.rawValue)) that we don't read.")
      }
      child = current.pointee.next
    }
  }

  /// Joins neighbouring text, so that where a CDATA section ended makes no difference.
  private mutating func append(text: String) {
    guard !text.isEmpty else { return }
    if case .text(let before) = children.last {
      children[children.count - 1] = .text(before + text)
    } else {
      children.append(.text(text))
    }
  }

  private static func qualifiedName(_ name: UnsafePointer<xmlChar>, _ namespace: xmlNsPtr?) -> String {
    guard let prefix = namespace?.pointee.prefix else { return string(name) }
    return "\(string(prefix)):\(string(name))"
  }

  private static func string(_ text: UnsafePointer<xmlChar>?) -> String { text.map { String(cString: $0) } ?? "" }

  private static let parserIsReady: Void = xmlInitParser()
}

/// Ends the parser at the first sign of a document type declaration, before any of it is read.
private func refuseDoctype(
  _ context: UnsafeMutableRawPointer?, _: UnsafePointer<xmlChar>?, _: UnsafePointer<xmlChar>?,
  _: UnsafePointer<xmlChar>?
) {
  xmlStopParser(context?.assumingMemoryBound(to: xmlParserCtxt.self))
}
