import CLibxml2
import PumiceModel

extension XMLElement {
  /// The element as XML text, without a declaration and without white space of its own.
  ///
  /// Throws `invalid` when a value has characters that XML can't carry, such as NUL.
  func serialized() throws(StorageError) -> String {
    try requireWritable()
    guard let buffer = xmlBufferCreate() else { throw Self.outOfMemory(name) }
    defer { xmlBufferFree(buffer) }
    guard let writer = xmlNewTextWriterMemory(buffer, 0) else { throw Self.outOfMemory(name) }
    let isWritten = write(to: writer)
    xmlFreeTextWriter(writer)  // Flushes into the buffer.
    guard isWritten, let content = xmlBufferContent(buffer) else { throw Self.outOfMemory(name) }
    return String(cString: content)
  }

  private func write(to writer: xmlTextWriterPtr) -> Bool {
    guard xmlTextWriterStartElement(writer, name) >= 0 else { return false }
    for attribute in attributes {
      guard xmlTextWriterWriteAttribute(writer, attribute.name, attribute.value) >= 0 else { return false }
    }
    for child in children {
      let isWritten =
        switch child {
        case .element(let element): element.write(to: writer)
        case .text(let text): xmlTextWriterWriteString(writer, text) >= 0
        case .comment(let text): xmlTextWriterWriteComment(writer, text) >= 0
        case .instruction(let target, let content): xmlTextWriterWritePI(writer, target, content) >= 0
        }
      guard isWritten else { return false }
    }
    return xmlTextWriterEndElement(writer) >= 0
  }

  private func requireWritable() throws(StorageError) {
    for attribute in attributes where !Self.isWritable(attribute.value) {
      throw .invalid(attribute.name, "of <\(name)> has control characters, which XML can't carry.")
    }
    for child in children {
      switch child {
      case .element(let element): try element.requireWritable()
      case .text(let text), .comment(let text), .instruction(_, let text):
        guard Self.isWritable(text) else {
          throw .invalid(name, "has control characters, which XML can't carry.")
        }
      }
    }
  }

  /// Whether every character is one of XML 1.0's (section 2.2).
  private static func isWritable(_ text: String) -> Bool {
    text.unicodeScalars.allSatisfy { scalar in
      switch scalar.value {
      case 0x9, 0xA, 0xD, 0x20...0xD7FF, 0xE000...0xFFFD, 0x10000...0x10FFFF: true
      default: false
      }
    }
  }

  private static func outOfMemory(_ name: String) -> StorageError {
    StorageError(.unavailable, "The element <\(name)> could not be written: out of memory.")
  }
}
