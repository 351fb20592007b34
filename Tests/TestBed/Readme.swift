import Foundation

/// README.md, so that tests can do what it tells people to do.
public struct Readme: Sendable {
  /// The commands of each indented block, in their order; those on several lines are joined, comments are left out.
  public let blocks: [[String]]
  /// The same blocks as they stand there, without their indentation.
  public let texts: [String]

  /// - Parameter section: A heading without its number signs; all of the file if `nil`.
  public init(section: String? = nil) throws {
    let file = (#filePath as NSString).deletingLastPathComponent + "/../../README.md"
    var lines = try String(contentsOfFile: file, encoding: .utf8).components(separatedBy: "\n")[...]
    if let section {
      guard let heading = lines.firstIndex(of: "## \(section)") else {
        throw TestBedFailure("README.md has no section \"\(section)\".")
      }
      lines = lines[(heading + 1)...].prefix { !$0.hasPrefix("## ") }
    }
    var blocks: [[String]] = []
    var texts: [String] = []
    var isInBlock = false
    var isContinued = false
    for line in lines {
      guard line.hasPrefix("    ") else {
        isInBlock = false
        continue
      }
      if !isInBlock {
        blocks.append([])
        texts.append("")
      }
      isInBlock = true
      texts[texts.count - 1] += line.dropFirst(4) + "\n"
      var command = line.dropFirst(4)
      if let comment = command.range(of: " #") { command = command[..<comment.lowerBound] }
      let isToBeContinued = command.hasSuffix("\\")
      if isToBeContinued { command = command.dropLast() }
      let text = command.trimmingCharacters(in: .whitespaces)
      let last = blocks.count - 1
      if isContinued, let begun = blocks[last].popLast() {
        blocks[last].append("\(begun) \(text)")
      } else {
        blocks[last].append(text)
      }
      isContinued = isToBeContinued
    }
    self.blocks = blocks
    self.texts = texts
  }
}
