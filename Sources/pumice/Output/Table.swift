/// Rows under headings, each column as wide as its widest cell.
struct Table {
  enum Alignment { case left, right }

  struct Column {
    let heading: String
    var alignment: Alignment = .left

    init(_ heading: String, _ alignment: Alignment = .left) {
      self.heading = heading
      self.alignment = alignment
    }
  }

  let columns: [Column]
  private(set) var rows: [[String]] = []

  init(_ columns: [Column]) { self.columns = columns }

  /// - Precondition: there is a cell for each column.
  mutating func append(_ cells: [String]) {
    precondition(cells.count == columns.count, "A row needs \(columns.count) cells.")
    rows.append(cells.map { $0.isEmpty ? "-" : Self.printable($0) })
  }

  /// The lines, without a line end after the last one.
  var text: String {
    let widths = columns.indices.map { column in
      rows.reduce(columns[column].heading.count) { max($0, $1[column].count) }
    }
    return ([columns.map(\.heading)] + rows).map { cells in
      var line = ""
      for (column, cell) in cells.enumerated() {
        let padding = String(repeating: " ", count: widths[column] - cell.count)
        line += (column == 0 ? "" : "  ") + (columns[column].alignment == .right ? padding + cell : cell + padding)
      }
      while line.last == " " { line.removeLast() }
      return line
    }.joined(separator: "\n")
  }

  /// One fact per line, the names in a column.
  static func facts(_ facts: [(name: String, value: String)]) -> String {
    let width = facts.reduce(0) { max($0, $1.name.count) }
    return facts.map { name, value in
      name + String(repeating: " ", count: width - name.count + 2) + (value.isEmpty ? "-" : printable(value))
    }.joined(separator: "\n")
  }

  /// The text without characters that would move the cursor or change colours: names come from anybody.
  static func printable(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: { isUnprintable($0) }) else { return text }
    return String(String.UnicodeScalarView(text.unicodeScalars.map { isUnprintable($0) ? "\u{FFFD}" : $0 }))
  }

  private static func isUnprintable(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .lineSeparator, .paragraphSeparator: true
    case .format: scalar.properties.isBidiControl
    default: false
    }
  }
}
