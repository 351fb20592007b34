/// An XML element as a value: what it says, without the parser's memory behind it.
///
/// Names and namespace declarations are kept as written (`qemu:commandline`, `xmlns:qemu`), so that what is not ours
/// goes through unchanged in meaning. CDATA sections become text.
struct XMLElement: Sendable, Hashable {
  enum Node: Sendable, Hashable {
    case element(XMLElement)
    case text(String)
    case comment(String)
    case instruction(target: String, content: String)
  }

  struct Attribute: Sendable, Hashable {
    var name: String
    var value: String
  }

  var name: String
  var attributes: [Attribute]
  var children: [Node]

  init(name: String, attributes: [Attribute], children: [Node]) {
    self.name = name
    self.attributes = attributes
    self.children = children
  }

  /// An element to be written: attributes that are `nil` are left out.
  init(_ name: String, _ attributes: KeyValuePairs<String, String?> = [:], _ children: [XMLElement] = []) {
    self.name = name
    self.attributes = attributes.compactMap { name, value in value.map { Attribute(name: name, value: $0) } }
    self.children = children.map { .element($0) }
  }

  /// An element with nothing but text in it.
  init(_ name: String, text: String) {
    self.init(name: name, attributes: [], children: [.text(text)])
  }

  subscript(attribute: String) -> String? { attributes.first { $0.name == attribute }?.value }

  var elements: [XMLElement] {
    children.compactMap { if case .element(let element) = $0 { element } else { nil } }
  }

  func elements(_ name: String) -> [XMLElement] { elements.filter { $0.name == name } }

  /// The first element down this path of names.
  func first(_ path: String...) -> XMLElement? {
    path.reduce(self) { element, name in element?.elements.first { $0.name == name } }
  }

  /// Its own text, without that of the elements in it and without white space around it.
  var text: String {
    let text = children.reduce(into: "") { if case .text(let text) = $1 { $0 += text } }
    return String(text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
  }
}
