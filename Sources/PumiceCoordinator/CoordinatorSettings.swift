import Configuration
import Foundation
import PumiceModel
import Yams

extension CoordinatorConfiguration {
  /// The values by key, each from the strongest source that has it.
  struct Settings {
    private enum Kind { case text, number, decimal, flag }

    private static let kinds: [String: Kind] = [
      "listen": .text, "database": .text, "join_token_file": .text, "auth": .text, "tokens_file": .text,
      "users_file": .text, "token_key_file": .text, "token_lifetime": .decimal,
      "allow_unauthenticated_remote": .flag, "report_interval": .decimal, "service_down_time": .decimal,
      "max_placement_attempts": .number, "quiesce_timeout": .number, "log_level": .text, "tls.certificate": .text,
      "tls.key": .text,
      "tls.ca": .text, "keystone.url": .text, "keystone.user": .text, "keystone.password_file": .text,
      "keystone.project": .text, "keystone.domain": .text, "keystone.ca": .text, "keystone.cache_time": .decimal,
    ]
    private static let weighersPrefix = "weighers."
    private static let environmentPrefix = "PUMICE_COORDINATOR_"
    /// Says where the file is, and so is none of its keys.
    private static let fileVariable = "PUMICE_COORDINATOR_CONFIG"

    private let reader: ConfigReader
    private let weigherNames: Set<String>

    init(file: String?, environment: [String: String], flags: [String: String]) throws(StorageError) {
      let inFile = try Self.values(inFile: file)
      let inEnvironment = try Self.values(inEnvironment: environment)
      var inFlags: [String: ConfigValue] = [:]
      for (key, text) in flags { inFlags[key] = try Self.value(of: text, for: key) }
      let sources = [("flags", inFlags), ("environment", inEnvironment), ("file", inFile)]
      reader = ConfigReader(
        providers: sources.map { name, values in
          InMemoryProvider(
            name: name,
            values: Dictionary(
              uniqueKeysWithValues: values.map { (AbsoluteConfigKey(Self.parts(of: $0.key)), $0.value) }))
        })
      weigherNames = Set(
        sources.flatMap { $0.1.keys }.filter { $0.hasPrefix(Self.weighersPrefix) }
          .map { String($0.dropFirst(Self.weighersPrefix.count)) })
    }

    func text(_ key: String) -> String? { reader.string(forKey: ConfigKey(Self.parts(of: key))) }
    func flag(_ key: String) -> Bool? { reader.bool(forKey: ConfigKey(Self.parts(of: key))) }
    func number(_ key: String) -> Int? { reader.int(forKey: ConfigKey(Self.parts(of: key))) }

    func required(_ key: String) throws(StorageError) -> String {
      guard let text = text(key), !text.isEmpty else { throw .invalid(key, "is required.") }
      return text
    }

    func seconds(_ key: String) throws(StorageError) -> Duration? {
      guard let seconds = reader.double(forKey: ConfigKey(Self.parts(of: key))) else { return nil }
      guard seconds >= 0.05, seconds <= 86_400 else { throw .invalid(key, "must be from 0.05 to 86400 seconds.") }
      return .milliseconds(Int64(seconds * 1000))
    }

    /// The multipliers of weighers by name; a name that none has is found out by whoever reads them.
    var weighers: [String: Double] {
      var weighers: [String: Double] = [:]
      for name in weigherNames {
        weighers[name] = reader.double(forKey: ConfigKey(Self.parts(of: Self.weighersPrefix + name)))
      }
      return weighers
    }

    private static func parts(of key: String) -> [String] { key.split(separator: ".").map(String.init) }

    private static func kind(of key: String) throws(StorageError) -> Kind {
      if key.hasPrefix(weighersPrefix), key != weighersPrefix { return .decimal }
      guard let kind = kinds[key] else { throw .invalid(key, "is not a key of the coordinator's configuration.") }
      return kind
    }

    // MARK: Sources

    private static func values(inFile file: String?) throws(StorageError) -> [String: ConfigValue] {
      guard let file else { return [:] }
      let document: Any?
      do { document = try Yams.load(yaml: file) } catch {
        throw StorageError(.invalid, "The configuration file is not valid YAML: \(error)", cause: error)
      }
      guard let document else { return [:] }
      guard let mapping = document as? [String: Any] else {
        throw StorageError(.invalid, "The configuration file must consist of keys and values.")
      }
      var values: [String: ConfigValue] = [:]
      for (key, value) in flattened(mapping) { values[key] = try self.value(value, for: key) }
      return values
    }

    private static func flattened(_ mapping: [String: Any]) -> [(String, Any)] {
      mapping.flatMap { key, value in
        if ["tls", "weighers", "keystone"].contains(key) {
          if let inner = value as? [String: Any] { return inner.map { ("\(key).\($0.key)", $0.value) } }
          if value is NSNull { return [] }
        }
        return [(key, value)]
      }
    }

    /// The type that YAML found must be the key's: `listen: 5` is as wrong as `report_interval: soon`.
    private static func value(_ value: Any, for key: String) throws(StorageError) -> ConfigValue {
      let content: ConfigContent? =
        switch try kind(of: key) {
        case .text: (value as? String).map { .string($0) }
        case .flag: (value as? Bool).map { .bool($0) }
        case .number: (value as? Int).map { .int($0) }
        case .decimal: (value as? Double ?? (value as? Int).map { Double($0) }).map { .double($0) }
        }
      guard let content else { throw wrongType(of: key) }
      return ConfigValue(content, isSecret: false)
    }

    private static func values(inEnvironment environment: [String: String]) throws(StorageError) -> [String:
      ConfigValue]
    {
      var values: [String: ConfigValue] = [:]
      for (variable, text) in environment where variable.hasPrefix(environmentPrefix) && variable != fileVariable {
        var key = variable.dropFirst(environmentPrefix.count).lowercased()
        for group in ["tls_", "weighers_", "keystone_"] where key.hasPrefix(group) {
          key = group.dropLast() + "." + key.dropFirst(group.count)
        }
        values[key] = try value(of: text, for: key)
      }
      return values
    }

    private static func value(of text: String, for key: String) throws(StorageError) -> ConfigValue {
      let content: ConfigContent? =
        switch try kind(of: key) {
        case .text: .string(text)
        case .flag: Bool(openStack: text).map { .bool($0) }
        case .number: Int(text).map { .int($0) }
        case .decimal: Double(text).map { .double($0) }
        }
      guard let content else { throw wrongType(of: key) }
      return ConfigValue(content, isSecret: false)
    }

    private static func wrongType(of key: String) -> StorageError {
      let wanted =
        switch kinds[key] ?? .decimal {
        case .text: "a text"
        case .number: "a whole number"
        case .decimal: "a number"
        case .flag: "true or false"
        }
      return .invalid(key, "must be \(wanted).")
    }
  }
}
