package facts

import (
	"fmt"
	"path"
	"strings"
	"time"
)

// Ansible is the facts under Ansible's names without the prefix, as
// `ansible_facts` holds them: what playbooks use most, nothing else. What is
// not known is left out, so that a playbook that needs it fails and says so.
func (h Host) Ansible() map[string]any {
	m := map[string]any{
		"hostname": h.Hostname, "nodename": h.Node, "fqdn": h.FQDN, "kernel": h.Kernel, "system": "Linux",
		"architecture": h.Arch, "machine": h.Arch, "user_id": h.Login, "user_uid": h.UID,
		"service_mgr": h.serviceManager(),
		"selinux":     h.selinux(), "env": h.env(), "date_time": h.dateTime(),
		"all_ipv4_addresses": h.family(false), "all_ipv6_addresses": h.family(true),
	}
	if _, domain, ok := strings.Cut(h.FQDN, "."); ok {
		m["domain"] = domain
	} else {
		m["domain"] = ""
	}
	h.distribution(m)
	set := func(key string, known bool, v any) {
		if known {
			m[key] = v
		}
	}
	set("pkg_mgr", h.Packager != "", h.Packager)
	set("processor_vcpus", h.CPUs > 0, h.CPUs)
	set("processor_nproc", h.CPUs > 0, h.CPUs)
	set("memtotal_mb", h.MemoryMiB > 0, h.MemoryMiB)
	set("uptime_seconds", !h.Boot.IsZero() && !h.Clock.IsZero(), int64(h.Clock.Sub(h.Boot)/time.Second))
	set("virtualization_type", h.Virt != "", virtName(h.Virt))
	set("virtualization_role", h.Virt != "", map[bool]string{true: "NA", false: "guest"}[h.Virt == "none"])
	set("user_dir", h.Env["HOME"] != "", h.Env["HOME"])
	set("user_shell", h.Env["SHELL"] != "", h.Env["SHELL"])
	set("default_ipv4", true, address(h.DefaultIPv4))
	set("default_ipv6", true, address(h.DefaultIPv6))
	return m
}

// distribution follows Ansible's names, which are not os-release's.
func (h Host) distribution(m map[string]any) {
	names := map[string]string{
		"debian": "Debian", "ubuntu": "Ubuntu", "rhel": "RedHat", "centos": "CentOS", "fedora": "Fedora",
		"rocky": "Rocky", "almalinux": "AlmaLinux", "ol": "OracleLinux", "amzn": "Amazon", "rhcos": "RedHat",
	}
	if h.OS.ID == "" {
		return
	}
	name, ok := names[h.OS.ID]
	if !ok {
		name = strings.ToUpper(h.OS.ID[:1]) + h.OS.ID[1:]
	}
	m["distribution"] = name
	version := h.OS.VersionID
	major, _, _ := strings.Cut(version, ".")
	if h.OS.ID == "debian" && strings.HasPrefix(h.OS.Debian, version+".") {
		version = h.OS.Debian // Ansible says 12.5 where os-release says 12
	}
	if version != "" {
		m["distribution_version"], m["distribution_major_version"] = version, major
	}
	if h.OS.Codename != "" {
		m["distribution_release"] = h.OS.Codename
	}
	switch h.OS.Family() {
	case "debian":
		m["os_family"] = "Debian"
	case "redhat":
		m["os_family"] = "RedHat"
	default:
		m["os_family"] = name
	}
}

func (h Host) serviceManager() string {
	if h.Systemd > 0 {
		return "systemd"
	}
	if h.Init != "" && h.Init != "systemd" {
		return path.Base(h.Init)
	}
	return "service"
}

func (h Host) selinux() map[string]any {
	if h.SELinux == "" || h.SELinux == "disabled" {
		return map[string]any{"status": "disabled"}
	}
	return map[string]any{"status": "enabled", "mode": h.SELinux}
}

func (h Host) env() map[string]any {
	m := map[string]any{}
	for k, v := range h.Env {
		m[k] = v
	}
	return m
}

func (h Host) family(v6 bool) []any {
	out := []any{}
	for _, a := range h.Addresses {
		if strings.Contains(a, ":") == v6 {
			out = append(out, a)
		}
	}
	return out
}

func address(a string) map[string]any {
	if a == "" {
		return map[string]any{}
	}
	return map[string]any{"address": a}
}

// dateTime is the host's clock when probed, in the host's zone.
func (h Host) dateTime() map[string]any {
	if h.Clock.IsZero() {
		return map[string]any{}
	}
	t := h.Clock.In(h.location())
	utc := h.Clock.UTC()
	return map[string]any{
		"date": t.Format("2006-01-02"), "time": t.Format("15:04:05"), "epoch": fmt.Sprint(t.Unix()), "epoch_int": fmt.Sprint(t.Unix()),
		"year": t.Format("2006"), "month": t.Format("01"), "day": t.Format("02"),
		"hour": t.Format("15"), "minute": t.Format("04"), "second": t.Format("05"),
		"weekday": t.Weekday().String(), "weekday_number": fmt.Sprint(int(t.Weekday())),
		"iso8601": utc.Format("2006-01-02T15:04:05Z"), "iso8601_micro": utc.Format("2006-01-02T15:04:05.000000Z"),
		"iso8601_basic_short": t.Format("20060102T150405"),
		"tz":                  h.Zone, "tz_offset": h.ZoneOffset,
	}
}

// location is the host's zone by its offset, "+0900".
func (h Host) location() *time.Location {
	t, err := time.Parse("-0700", h.ZoneOffset)
	if err != nil {
		return time.UTC
	}
	_, offset := t.Zone()
	return time.FixedZone(h.Zone, offset)
}

func virtName(v string) string {
	switch v {
	case "none":
		return "NA"
	case "microsoft":
		return "VirtualPC"
	case "oracle":
		return "virtualbox"
	}
	return v
}
