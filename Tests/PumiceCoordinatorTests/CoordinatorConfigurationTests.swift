import Foundation
import Logging
import PumiceModel
import Testing

@testable import PumiceCoordinator

@Suite struct CoordinatorConfigurationTests {
  static let least = "database: memory\njoin_token_file: /join\n"

  private func read(
    _ file: String, environment: [String: String] = [:], flags: [String: String] = [:]
  ) throws(StorageError) -> CoordinatorConfiguration {
    try CoordinatorConfiguration(file: Self.least + file, environment: environment, flags: flags)
  }

  @Test func flagsWinOverTheEnvironmentAndThatOverTheFile() throws {
    let file = "listen: 127.0.0.1:1\nlog_level: debug\nreport_interval: 5"
    let environment = [
      "PUMICE_COORDINATOR_LISTEN": "127.0.0.1:2", "PUMICE_COORDINATOR_REPORT_INTERVAL": "7", "HOME": "/",
    ]
    let configuration = try read(file, environment: environment, flags: ["listen": "127.0.0.1:3"])
    #expect(configuration.listen == ListenAddress(host: "127.0.0.1", port: 3))
    #expect(configuration.reportInterval == .seconds(7))
    #expect(configuration.logLevel == .debug)
    #expect(configuration.serviceDownTime == .seconds(60))
  }

  @Test func theExampleIsAConfigurationWithTheDefaults() throws {
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Config/coordinator.yaml")
    let text = try String(contentsOf: path, encoding: .utf8)
    let plain = try CoordinatorConfiguration(file: text, environment: [:], flags: [:])
    #expect(plain.listen == ListenAddress(host: "127.0.0.1", port: 8776))
    // What is commented out is what holds without it.
    let uncommented = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      let isSetting = !line.hasPrefix("# ") || line.hasPrefix("#  ") && !line.hasPrefix("#   ")
      return line.hasPrefix("#") && isSetting ? String(line.dropFirst()) : String(line)
    }.joined(separator: "\n")
    let full = try CoordinatorConfiguration(file: uncommented, environment: [:], flags: [:])
    #expect(full.listen == plain.listen)
    #expect(full.authentication == plain.authentication)
    #expect(full.reportInterval == plain.reportInterval)
    #expect(full.serviceDownTime == plain.serviceDownTime)
    #expect(full.maxPlacementAttempts == plain.maxPlacementAttempts)
    #expect(full.quiesceTimeout == plain.quiesceTimeout)
    #expect(full.weighing == plain.weighing)
    #expect(full.logLevel == plain.logLevel)
    #expect(full.tls?.ca == "/etc/pumice/tls/ca.pem")
    #expect(full.keystone?.user == "pumice" && full.keystone?.cacheTime == .seconds(60))
  }

  @Test func aKeystoneIsKnownByItsURLWithTheVersion() throws {
    let file = "auth: keystone\nkeystone: {url: 'http://k:5000/', user: pumice, password_file: /p}"
    let configuration = try read(file, environment: ["PUMICE_COORDINATOR_KEYSTONE_CACHE_TIME": "5"])
    #expect(configuration.authentication == .keystone)
    let keystone = try #require(configuration.keystone)
    #expect(keystone.url == "http://k:5000/v3" && keystone.user == "pumice" && keystone.passwordFile == "/p")
    #expect(keystone.project == "service" && keystone.domain == "Default" && keystone.cacheTime == .seconds(5))
    let other = try read("keystone: {url: 'https://k/identity/v3', user: u, password_file: /p, project: a, domain: b}")
    #expect(other.keystone?.url == "https://k/identity/v3")
    #expect(other.keystone?.project == "a" && other.keystone?.domain == "b")
  }

  @Test(arguments: [
    ("colour: red", "colour"), ("listen: 5", "listen"), ("listen: nowhere", "listen"), ("listen: '::1:8776'", "listen"),
    ("listen: 127.0.0.1:99999", "listen"), ("report_interval: soon", "report_interval"),
    ("report_interval: 0", "report_interval"), ("report_interval: .nan", "report_interval"),
    ("max_placement_attempts: 1.5", "max_placement_attempts"), ("max_placement_attempts: 0", "max_placement_attempts"),
    ("allow_unauthenticated_remote: 3", "allow_unauthenticated_remote"), ("auth: maybe", "auth"),
    ("auth: token", "tokens_file"), ("auth: keystone", "keystone.url"),
    ("keystone: {url: 'k:5000'}", "keystone.url"), ("keystone: {url: 'http://k/v3'}", "keystone.user"),
    ("keystone: {url: 'http://k/v3', user: u}", "keystone.password_file"), ("keystone: {color: red}", "keystone.color"),
    ("log_level: loud", "log_level"), ("quiesce_timeout: 61", "quiesce_timeout"),
    ("quiesce_timeout: -1", "quiesce_timeout"), ("quiesce_timeout: 1.5", "quiesce_timeout"),
    ("weighers: 5", "weighers"),
    ("weighers: {colour: 1}", "colour"), ("weighers: {capacity: much}", "weighers.capacity"),
    ("tls: {certificate: /c}", "tls.key"), ("tls: {colour: red}", "tls.colour"),
    ("service_down_time: 15", "service_down_time"), ("listen: 0.0.0.0:8776", "listen"), ("listen: host:8776", "listen"),
  ])
  func aWrongSettingIsNamed(file: String, key: String) {
    let error = #expect(throws: StorageError.self) { try read(file) }
    #expect(error?.message.contains(key) == true, "\(error?.message ?? "")")
  }

  @Test func wrongVariablesAndFlagsAreNamedToo() {
    let variable = #expect(throws: StorageError.self) {
      try read("", environment: ["PUMICE_COORDINATOR_COLOUR": "red"])
    }
    #expect(variable?.field == "colour")
    let type = #expect(throws: StorageError.self) {
      try read("", environment: ["PUMICE_COORDINATOR_REPORT_INTERVAL": "x"])
    }
    #expect(type?.field == "report_interval")
    let flag = #expect(throws: StorageError.self) { try read("", flags: ["max_placement_attempts": "x"]) }
    #expect(flag?.field == "max_placement_attempts")
    let missing = #expect(throws: StorageError.self) {
      try CoordinatorConfiguration(file: nil, environment: [:], flags: ["database": "memory"])
    }
    #expect(missing?.field == "join_token_file")
  }

  @Test func groupsCanComeFromTheEnvironment() throws {
    let configuration = try read(
      "",
      environment: [
        "PUMICE_COORDINATOR_TLS_CERTIFICATE": "/c", "PUMICE_COORDINATOR_TLS_KEY": "/k",
        "PUMICE_COORDINATOR_WEIGHERS_VOLUME_NUMBER": "-1",
      ])
    #expect(configuration.tls == CoordinatorConfiguration.TLS(certificate: "/c", key: "/k", ca: nil))
    #expect(configuration.weighing == (try PoolWeighing(["volume_number": -1])))
  }

  @Test(arguments: [
    ("127.0.0.1:1", true), ("127.9.9.9:1", true), ("[::1]:1", true), ("localhost:1", true), ("127.0.0.1.evil:1", false),
    ("0.0.0.0:1", false), ("[::]:1", false), ("10.0.0.1:1", false), ("127.evil.0.1:1", false),
  ])
  func onlyLoopbackNeedsNoAuthentication(listen: String, isLoopback: Bool) throws {
    #expect(try ListenAddress(listen).isLoopback == isLoopback)
    if isLoopback {
      #expect(throws: Never.self) { try read("listen: '\(listen)'") }
    } else {
      #expect(throws: StorageError.self) { try read("listen: '\(listen)'") }
    }
    #expect(throws: Never.self) { try read("listen: '\(listen)'\nallow_unauthenticated_remote: true") }
  }
}
