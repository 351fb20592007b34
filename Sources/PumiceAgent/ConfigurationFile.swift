import PumiceModel
import Yams

/// What stands in `agent.yaml`, its keys checked: values as text, lists of values joined by commas, and the backends.
struct ConfigurationFile {
  private(set) var values: [AgentConfiguration.Key: String] = [:]
  private(set) var backends: [BackendConfiguration] = []

  /// Throws `invalid` with the key's name where something is not known or of the wrong kind. An empty file is none at all.
  init(yaml: String) throws(StorageError) {
    let document: Yams.Node?
    do {
      document = try Yams.compose(yaml: yaml)
    } catch {
      throw StorageError(.invalid, "The configuration is not valid YAML: \(error)", field: "config")
    }
    guard let document, !document.isEmpty else { return }
    guard case .mapping(let mapping) = document else {
      throw StorageError(.invalid, "The configuration must be a mapping of keys to values.", field: "config")
    }
    for (key, value) in mapping { try read(key.string ?? "", value) }
  }

  private mutating func read(_ key: String, _ value: Yams.Node) throws(StorageError) {
    if key == "backends" { return try readBackends(value) }
    if let known = AgentConfiguration.Key(rawValue: key) {
      values[known] = try Self.text(value, of: known)
      return
    }
    let section = AgentConfiguration.Key.allCases.filter { $0.rawValue.hasPrefix("\(key).") }
    guard !section.isEmpty else { throw .invalid(key, "is not a known key.") }
    if value.isEmpty { return }
    guard case .mapping(let mapping) = value else {
      let names = section.map { $0.rawValue.dropFirst(key.count + 1) }.joined(separator: ", ")
      throw .invalid(key, "must be a mapping, with the keys \(names).")
    }
    for (part, value) in mapping {
      let name = "\(key).\(part.string ?? "")"
      guard let known = AgentConfiguration.Key(rawValue: name) else { throw .invalid(name, "is not a known key.") }
      values[known] = try Self.text(value, of: known)
    }
  }

  private static func text(_ node: Yams.Node, of key: AgentConfiguration.Key) throws(StorageError) -> String? {
    if node.isEmpty { return nil }
    if key == .exporterPortals {
      guard case .sequence(let elements) = node else { throw .invalid(key.rawValue, "must be a list.") }
      var texts: [String] = []
      for element in elements {
        guard let text = element.scalar?.string else { throw .invalid(key.rawValue, "must be a list of values.") }
        texts.append(text)
      }
      return texts.joined(separator: ",")
    }
    guard let text = node.scalar?.string else { throw .invalid(key.rawValue, "must be a single value.") }
    return text
  }

  private mutating func readBackends(_ node: Yams.Node) throws(StorageError) {
    if node.isEmpty { return }
    guard case .sequence(let elements) = node else { throw .invalid("backends", "must be a list.") }
    for (index, element) in elements.enumerated() {
      let backend = try BackendConfiguration(element, at: "backends[\(index)]")
      guard !backends.contains(where: { $0.name == backend.name }) else {
        throw .invalid("backends[\(index)].name", "is \(backend.name), like an earlier one's.")
      }
      backends.append(backend)
    }
  }
}

extension Yams.Node {
  /// Nothing, or `null`.
  fileprivate var isEmpty: Bool { scalar.map { $0.string.isEmpty || $0.string == "null" || $0.string == "~" } ?? false }
}
