-- Oktopus profile of an OpenWrt router with rcwmp's agent: TR-181 (Device:2).
--
-- Not here, because the agent's data model has none of it: voice. A hook that is missing is a capability that the
-- device lacks.

local WIFI, IP, PING, TRACE = "Device.WiFi.", "Device.IP.", "Device.IP.Diagnostics.IPPing.", "Device.IP.Diagnostics.TraceRoute."
local DOWNLOAD, UPLOAD = "Device.IP.Diagnostics.DownloadDiagnostics.", "Device.IP.Diagnostics.UploadDiagnostics."

---------------------------------------------------------------------- messages

local function escape(text)
    return (tostring(text):gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

local function envelope(body)
    return [[<?xml version="1.0" encoding="UTF-8"?>
<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:cwmp="urn:dslforum-org:cwmp-1-0">
<soap:Header/><soap:Body>]] .. body .. "</soap:Body></soap:Envelope>"
end

-- A SetParameterValues of { name, value, type }; nil without any.
local function set(list)
    if #list == 0 then return nil, "there is nothing to set" end
    local items = {}
    for _, item in ipairs(list) do
        items[#items + 1] = "<ParameterValueStruct><Name>" .. escape(item[1]) .. "</Name><Value xsi:type=\"xsd:" .. item[3]
            .. "\">" .. escape(item[2]) .. "</Value></ParameterValueStruct>"
    end
    return envelope("<cwmp:SetParameterValues><ParameterList soapenc:arrayType=\"cwmp:ParameterValueStruct[" .. #items .. "]\">"
        .. table.concat(items) .. "</ParameterList><ParameterKey/></cwmp:SetParameterValues>")
end

-- The value of an input's member, which is { value = … } or the value itself.
local function given(member)
    if type(member) == "table" then return member.value end
    return member
end

-- Adds what an input gives of an object: fields are { member, parameter, type }.
local function collect(list, path, input, fields)
    for _, field in ipairs(fields) do
        local value = given(input[field[1]])
        if value ~= nil then
            if field[3] == "boolean" then value = (value == true or value == "true" or value == "1") and "1" or "0" end
            list[#list + 1] = { path .. field[2], value, field[3] }
        end
    end
end

-- A list, or one item alone, or a map of them.
local function items(input)
    if type(input) ~= "table" then return {} end
    if input.path or next(input) == nil then return { input } end
    local out = {}
    for _, item in pairs(input) do out[#out + 1] = item end
    return out
end

---------------------------------------------------------------------- answers

-- The instances of a table in a map of values, in order: { number, path }.
local function rows(values, path)
    local seen, out = {}, {}
    local pattern = "^" .. path:gsub("%p", "%%%0") .. "(%d+)%."
    for name in pairs(values) do
        local number = tonumber(name:match(pattern))
        if number and not seen[number] then
            seen[number] = true
            out[#out + 1] = { number = number, path = path .. number .. "." }
        end
    end
    table.sort(out, function(a, b) return a.number < b.number end)
    return out
end

local function pv(value, writable)
    return { value = value, writable = writable == true }
end

local function truth(text)
    return text == "1" or text == "true"
end

local function split(text)
    local out = {}
    for item in (text or ""):gmatch("[^,%s]+") do out[#out + 1] = item end
    return out
end

-- A path reference without its final dot, as an object's path.
local function object(reference)
    if not reference or reference == "" then return nil end
    return reference .. "."
end

---------------------------------------------------------------------- what the profile knows

function get_vendor() return "OpenWrt", nil end
function get_data_model() return "TR-181", nil end

function get_device_capabilities()
    return {
        Radio = true, Ssid = true, Wifi = true, ConnectedDevices = true, Diagnostic = true, Ping = true, Traceroute = true,
        SpeedTest = true, Interfaces = true, Ports = true, Stats = true, Hwinfo = true, Pon = true, Cellular = true, XDSL = true,
        Reboot = true, FactoryReset = true, FirmwareUpgrade = true, Voice = false, SiteSurvey = true,
    }, nil
end

-- A trace of thirty hops takes a minute at most.
function get_device_specs() return { TimeTraceRoute = 60, DirectResult = false }, nil end
function is_real_time() return true, nil end
function get_wan_options() return { { protocol = "DHCP", type = "Ethernet", vlan = true }, { protocol = "PPPoE", type = "Ethernet", vlan = true } }, nil end

---------------------------------------------------------------------- Wi-Fi

function get_radio() return cwmp_get_params { WIFI .. "Radio." } end

function parse_radio(response)
    local values, out = response_to_map(response), {}
    for _, row in ipairs(rows(values, WIFI .. "Radio.")) do
        local function value(name) return values[row.path .. name] end
        out[#out + 1] = {
            path = row.path,
            name = pv(value "Name"),
            enable = pv(truth(value "Enable"), true),
            status = pv(value "Status"),
            channel = pv(tonumber(value "Channel"), true),
            auto_channel_enable = pv(truth(value "AutoChannelEnable"), true),
            possible_channels = pv(split(value "PossibleChannels")),
            operating_channel_bandwidth = pv(value "OperatingChannelBandwidth", true),
            supported_operating_channel_bandwidth = pv(split(value "SupportedOperatingChannelBandwidths")),
            operating_frequency_band = pv(value "OperatingFrequencyBand"),
            supported_frequency_bands = pv(split(value "SupportedFrequencyBands")),
            operating_standards = pv(split(value "OperatingStandards"), true),
            supported_standards = pv(split(value "SupportedStandards")),
            transmit_power = pv(tonumber(value "TransmitPower"), true),
            transmit_power_supported = pv(split(value "TransmitPowerSupported")),
        }
    end
    return out, nil
end

function set_radio(radios)
    local list = {}
    for _, radio in ipairs(items(radios)) do
        if not radio.path then return nil, "a radio needs its path" end
        collect(list, radio.path, radio, {
            { "enable", "Enable", "boolean" }, { "channel", "Channel", "unsignedInt" },
            { "auto_channel_enable", "AutoChannelEnable", "boolean" },
            { "operating_channel_bandwidth", "OperatingChannelBandwidth", "string" }, { "transmit_power", "TransmitPower", "int" },
        })
    end
    return set(list)
end

function get_ssid() return cwmp_get_params { WIFI .. "SSID.", WIFI .. "AccessPoint." } end

function parse_ssid(response)
    local values, points, out = response_to_map(response), {}, {}
    for _, row in ipairs(rows(values, WIFI .. "AccessPoint.")) do
        points[object(values[row.path .. "SSIDReference"]) or ""] = row.path
    end
    for _, row in ipairs(rows(values, WIFI .. "SSID.")) do
        local function value(name) return values[row.path .. name] end
        local ssid = {
            path = row.path, name = pv(value "Name"), enable = pv(truth(value "Enable"), true), ssid = pv(value "SSID", true),
            status = pv(value "Status"), mac_address = pv(value "MACAddress"),
        }
        local point = points[row.path]
        if point then
            ssid.security = {
                path = point .. "Security.",
                security_modes_supported = pv(values[point .. "Security.ModesSupported"]),
                security_mode_enabled = pv(values[point .. "Security.ModeEnabled"], true),
            }
        end
        out[#out + 1] = ssid
    end
    return out, nil
end

function set_ssid(ssids)
    local list = {}
    for _, ssid in ipairs(items(ssids)) do
        local path = ssid.path or ssid.ssid_path
        if not path then return nil, "an SSID needs its path" end
        collect(list, path, ssid, { { "enable", "Enable", "boolean" }, { "ssid", "SSID", "string" } })
        local security = ssid.security
        if security and security.path then
            collect(list, security.path, security,
                { { "security_mode_enabled", "ModeEnabled", "string" }, { "key_passphrase", "KeyPassphrase", "string" } })
        end
    end
    return set(list)
end

function get_connected_devices() return cwmp_get_params { "Device.Hosts." } end

function parse_get_connected_devices(response)
    local values, out = response_to_map(response), { ethernet = {}, wifi = {} }
    for _, row in ipairs(rows(values, "Device.Hosts.Host.")) do
        local function value(name) return values[row.path .. name] end
        local wireless = value "InterfaceType" == "802.11" or (value "AssociatedDevice" or "") ~= ""
        local list = wireless and out.wifi or out.ethernet
        list[#list + 1] = { host_name = value "HostName", ip = value "IPAddress", mac = value "PhysAddress", active = truth(value "Active") }
    end
    return out, nil
end

---------------------------------------------------------------------- interfaces

local COUNTERS = {
    "BytesSent", "BytesReceived", "PacketsSent", "PacketsReceived", "ErrorsSent", "ErrorsReceived", "UnicastPacketsSent",
    "UnicastPacketsReceived", "DiscardPacketsSent", "DiscardPacketsReceived", "MulticastPacketsSent", "MulticastPacketsReceived",
    "BroadcastPacketsSent", "BroadcastPacketsReceived", "UnknownProtoPacketsReceived",
}

function get_statistics() return cwmp_get_params { "Device.Ethernet.Interface." } end

function parse_get_statistics(response)
    local values, out = response_to_map(response), {}
    for _, row in ipairs(rows(values, "Device.Ethernet.Interface.")) do
        local list = {}
        for _, counter in ipairs(COUNTERS) do
            local value = values[row.path .. "Stats." .. counter]
            if value then list[#list + 1] = { label = counter, value = value } end
        end
        out[values[row.path .. "Name"] or row.path] = list
    end
    return out, nil
end

local function get_interfaces() return cwmp_get_params { IP .. "Interface.", "Device.NAT.InterfaceSetting." } end

-- What is translated is a WAN; what is not, and no loopback, a LAN.
local function parse_interfaces(response, wanted)
    local values, translated, out = response_to_map(response), {}, {}
    for _, row in ipairs(rows(values, "Device.NAT.InterfaceSetting.")) do
        if truth(values[row.path .. "Enable"]) then translated[object(values[row.path .. "Interface"]) or ""] = true end
    end
    for _, row in ipairs(rows(values, IP .. "Interface.")) do
        local function value(name) return values[row.path .. name] end
        local kind = translated[row.path] and "WAN" or "LAN"
        if kind == wanted and not truth(value "Loopback") then
            local addresses = {}
            for _, address in ipairs(rows(values, row.path .. "IPv4Address.")) do
                addresses[#addresses + 1] = {
                    path = address.path,
                    enable = pv(truth(values[address.path .. "Enable"]), true),
                    ip_address = pv(values[address.path .. "IPAddress"], true),
                    subnet_mask = pv(values[address.path .. "SubnetMask"], true),
                    origin = pv(values[address.path .. "AddressingType"]),
                }
            end
            out[row.path] = {
                path = row.path, name = pv(value "Name"), alias = pv(value "Alias", true), enable = pv(truth(value "Enable"), true),
                status = pv(value "Status"), up = value "Status" == "Up", type = kind, max_mtu_size = pv(tonumber(value "MaxMTUSize"), true),
                ipv4 = addresses,
            }
        end
    end
    return out, nil
end

function get_interface_wan() return get_interfaces() end
function get_interface_lan() return get_interfaces() end
function parse_get_interface_wan(response) return parse_interfaces(response, "WAN") end
function parse_get_interface_lan(response) return parse_interfaces(response, "LAN") end

function get_port() return cwmp_get_params { "Device.Ethernet.Interface." } end

function parse_get_port(response)
    local values, out = response_to_map(response), {}
    for _, row in ipairs(rows(values, "Device.Ethernet.Interface.")) do
        local function value(name) return values[row.path .. name] end
        out[row.path] = {
            path = row.path, name = pv(value "Name"), alias = pv(value "Alias", true), enable = pv(truth(value "Enable"), true),
            mac_address = pv(value "MACAddress"), upstream = pv(truth(value "Upstream")), status = pv(value "Status"),
            up = value "Status" == "Up", type = "Ethernet", rate = pv(tonumber(value "CurrentBitRate")),
        }
    end
    return out, nil
end

function set_port(ports)
    local list = {}
    for _, port in ipairs(items(ports)) do
        if not port.path then return nil, "a port needs its path" end
        collect(list, port.path, port, { { "enable", "Enable", "boolean" }, { "alias", "Alias", "string" } })
    end
    return set(list)
end

function add_port(port)
    return envelope("<cwmp:AddObject><ObjectName>" .. escape(port and port.path or IP .. "Interface.")
        .. "</ObjectName><ParameterKey/></cwmp:AddObject>")
end

function get_bridge() return cwmp_get_params { "Device.Bridging.Bridge." } end

function parse_get_bridge(response)
    local values, out = response_to_map(response), {}
    for _, row in ipairs(rows(values, "Device.Bridging.Bridge.")) do
        local ports = {}
        for _, port in ipairs(rows(values, row.path .. "Port.")) do
            ports[#ports + 1] = {
                path = port.path, name = values[port.path .. "Name"], enable = pv(truth(values[port.path .. "Enable"]), true),
            }
        end
        out[#out + 1] = {
            path = row.path, bridge_path = row.path, name = pv(values[row.path .. "Name"]),
            enable = pv(truth(values[row.path .. "Enable"]), true), aging_time = pv(tonumber(values[row.path .. "AgingTime"]), true), ports = ports,
        }
    end
    return out, nil
end

-- The names are the host's own: it knows what to do.
function set_bridge() return nil, nil end

---------------------------------------------------------------------- diagnostics

local SURVEY = WIFI .. "NeighboringWiFiDiagnostic."

function get_site_survey_diagnostic_state() return SURVEY .. "DiagnosticsState", nil end

function set_site_survey_diagnostic_state() return set { { SURVEY .. "DiagnosticsState", "Requested", "string" } } end

function get_site_survey_results() return cwmp_get_params { SURVEY } end

-- By band, the strongest first.
function parse_get_site_survey(response)
    local values, out = response_to_map(response), {}
    for _, row in ipairs(rows(values, SURVEY .. "Result.")) do
        local function value(name) return values[row.path .. name] end
        local band = value "OperatingFrequencyBand" or ""
        if band == "" then band = "unknown" end
        local list = out[band] or {}
        out[band] = list
        list[#list + 1] = {
            ssid = value "SSID", bssid = value "BSSID", mode = value "Mode", channel = tonumber(value "Channel"),
            signal_strength = tonumber(value "SignalStrength"), security_mode_enabled = value "SecurityModeEnabled",
            encryption_mode = value "EncryptionMode", radio = object(value "Radio"),
        }
    end
    for _, list in pairs(out) do
        table.sort(list, function(a, b) return (a.signal_strength or -200) > (b.signal_strength or -200) end)
    end
    return out, nil
end

function get_ping() return cwmp_get_params { PING } end

function parse_get_ping(response)
    local values = response_to_map(response)
    return {
        interface = pv(values[PING .. "Interface"], true),
        host = pv(values[PING .. "Host"], true),
        number_of_repetitions = pv(tonumber(values[PING .. "NumberOfRepetitions"]), true),
        timeout = pv(tonumber(values[PING .. "Timeout"]), true),
        data_block_size = pv(tonumber(values[PING .. "DataBlockSize"]), true),
    }, nil
end

function get_ping_diagnostic_state() return PING .. "DiagnosticsState", nil end

function set_ping(ping)
    local list = {}
    collect(list, PING, ping or {}, {
        { "interface", "Interface", "string" }, { "host", "Host", "string" }, { "repetitions", "NumberOfRepetitions", "unsignedInt" },
        { "number_of_repetitions", "NumberOfRepetitions", "unsignedInt" }, { "timeout", "Timeout", "unsignedInt" },
        { "data_block_size", "DataBlockSize", "unsignedInt" },
    })
    list[#list + 1] = { PING .. "DiagnosticsState", "Requested", "string" }
    return set(list)
end

function get_ping_result() return cwmp_get_params { PING } end

function parse_get_ping_result(response)
    local values = response_to_map(response)
    local function number(name) return tonumber(values[PING .. name]) end
    return {
        diagnostic_state = values[PING .. "DiagnosticsState"],
        success_count = number "SuccessCount", failure_count = number "FailureCount",
        average_response_time = number "AverageResponseTime",
        average_rtt = number "AverageResponseTime", minimum_rtt = number "MinimumResponseTime", maximum_rtt = number "MaximumResponseTime",
    }, nil
end

function get_traceroute() return cwmp_get_params { TRACE } end

function parse_get_traceroute(response)
    local values = response_to_map(response)
    return {
        interface = pv(values[TRACE .. "Interface"], true),
        host = pv(values[TRACE .. "Host"], true),
        number_of_tries = pv(tonumber(values[TRACE .. "NumberOfTries"]), true),
        timeout = pv(tonumber(values[TRACE .. "Timeout"]), true),
        max_hop_count = pv(tonumber(values[TRACE .. "MaxHopCount"]), true),
    }, nil
end

function get_traceroute_diagnostic_state() return TRACE .. "DiagnosticsState", nil end

function set_traceroute(traceroute)
    local list = {}
    collect(list, TRACE, traceroute or {}, {
        { "interface", "Interface", "string" }, { "host", "Host", "string" }, { "number_of_tries", "NumberOfTries", "unsignedInt" },
        { "timeout", "Timeout", "unsignedInt" }, { "max_hop_count", "MaxHopCount", "unsignedInt" },
    })
    list[#list + 1] = { TRACE .. "DiagnosticsState", "Requested", "string" }
    return set(list)
end

function get_traceroute_result_number_of_hops() return TRACE .. "RouteHopsNumberOfEntries", nil end

function get_traceroute_result(number_of_hops)
    local names = { TRACE .. "DiagnosticsState", TRACE .. "ResponseTime" }
    for hop = 1, number_of_hops do names[#names + 1] = TRACE .. "RouteHops." .. hop .. "." end
    return cwmp_get_params(names)
end

function parse_get_traceroute_result(response)
    local values, hops = response_to_map(response), {}
    for _, row in ipairs(rows(values, TRACE .. "RouteHops.")) do
        local times = {}
        for _, time in ipairs(split(values[row.path .. "RTTimes"])) do times[#times + 1] = tonumber(time) end
        hops[#hops + 1] = {
            hop_host = values[row.path .. "Host"], hop_host_address = values[row.path .. "HostAddress"],
            hop_error_code = tonumber(values[row.path .. "ErrorCode"]), hop_rtt_times = times,
        }
    end
    return {
        diagnostic_state = values[TRACE .. "DiagnosticsState"], response_time = tonumber(values[TRACE .. "ResponseTime"]),
        hop_count = #hops, hops = hops,
    }, nil
end

local function speed_path(kind) return kind == "upload" and UPLOAD or DOWNLOAD end

function set_speed_test(test)
    if not (test and given(test.url)) then return nil, "a speed test needs a url" end
    local path = speed_path(test.action)
    local list = { { path .. (test.action == "upload" and "UploadURL" or "DownloadURL"), given(test.url), "string" } }
    if test.action == "upload" then
        list[#list + 1] = { path .. "TestFileLength", given(test.size) or 1000000, "unsignedInt" }
    end
    list[#list + 1] = { path .. "DiagnosticsState", "Requested", "string" }
    return set(list)
end

function get_download_diagnostic_state() return DOWNLOAD .. "DiagnosticsState", nil end
function get_upload_diagnostic_state() return UPLOAD .. "DiagnosticsState", nil end
function get_speed_test_result(speed_test_type) return cwmp_get_params { speed_path(speed_test_type) } end

-- Seconds of the day of a dateTime, with its fraction.
local function seconds(text)
    local hour, minute, second = (text or ""):match("T(%d+):(%d+):([%d.]+)")
    return hour and hour * 3600 + minute * 60 + second
end

function parse_get_speed_test_result(speed_test_type, response)
    local values, path = response_to_map(response), speed_path(speed_test_type)
    local function value(name) return values[path .. name] end
    local bytes = tonumber(value(speed_test_type == "upload" and "TestBytesSent" or "TestBytesReceived"))
    local from, to = seconds(value "BOMTime"), seconds(value "EOMTime")
    local time = from and to and (to - from) % 86400
    local speed = bytes and time and time > 0 and ("%.2f Mbps"):format(bytes * 8 / time / 1e6) or nil
    return {
        diagnostic_state = value "DiagnosticsState", type = speed_test_type, action = speed_test_type,
        download_speed = speed_test_type ~= "upload" and speed or nil, upload_speed = speed_test_type == "upload" and speed or nil,
        throughput = speed, bytes_received = tonumber(value "TestBytesReceived"), bytes_sent = tonumber(value "TestBytesSent"),
    }, nil
end

---------------------------------------------------------------------- the device itself, and its lines

function get_hwinfo() return cwmp_get_params { "Device.DeviceInfo." } end

function parse_get_hwinfo(response)
    local values = response_to_map(response)
    local function value(name) return values["Device.DeviceInfo." .. name] end
    local total, free = tonumber(value "MemoryStatus.Total"), tonumber(value "MemoryStatus.Free")
    local temperatures = {}
    for _, row in ipairs(rows(values, "Device.DeviceInfo.TemperatureStatus.TemperatureSensor.")) do
        temperatures[#temperatures + 1] = { [values[row.path .. "Name"]] = tonumber(values[row.path .. "Value"]) }
    end
    return {
        manufacturer = value "Manufacturer", model_name = value "ModelName", serial_number = value "SerialNumber",
        software_version = value "SoftwareVersion", hardware_version = value "HardwareVersion", uptime_seconds = tonumber(value "UpTime"),
        cpu_usage_percentage = tonumber(value "ProcessStatus.CPUUsage"), memory_total_kilobytes = total, memory_free_kilobytes = free,
        memory_use_kilobytes = total and free and total - free,
        memory_usage_percentage = total and free and total > 0 and math.floor((total - free) * 100 / total) or nil,
        temperature_celsius = temperatures,
    }, nil
end

function get_pon() return cwmp_get_params { "Device.Optical." } end

-- The levels are thousandths of a dBm. Without a module there is a status, and nothing else.
function parse_get_pon(response)
    local values = response_to_map(response)
    local row = rows(values, "Device.Optical.Interface.")[1]
    if not row then return { status = "NotPresent" }, nil end
    local function level(name)
        local value = tonumber(values[row.path .. name])
        return value and value / 1000
    end
    local rx, tx = level "OpticalSignalLevel", level "TransmitOpticalLevel"
    return {
        status = "Present", rx_dbm = rx, tx_dbm = tx,
        rx_power = rx and ("%.1f dBm"):format(rx), tx_power = tx and ("%.1f dBm"):format(tx),
    }, nil
end

function get_cellular() return cwmp_get_params { "Device.Cellular." } end

function parse_get_cellular(response)
    local values, out = response_to_map(response), {}
    for _, row in ipairs(rows(values, "Device.Cellular.Interface.")) do
        local points = {}
        for _, point in ipairs(rows(values, "Device.Cellular.AccessPoint.")) do
            if object(values[point.path .. "Interface"]) == row.path then
                points[#points + 1] = { path = point.path, enable = pv(truth(values[point.path .. "Enable"]), true), apn = pv(values[point.path .. "APN"], true) }
            end
        end
        out[#out + 1] = {
            path = row.path, interface = values[row.path .. "Name"], name = pv(values[row.path .. "Name"]),
            enable = pv(truth(values[row.path .. "Enable"]), true), status = pv(values[row.path .. "Status"]),
            network_requested = pv(values[row.path .. "NetworkRequested"], true), access_point = points,
        }
    end
    return out, nil
end

function set_cellular() return nil, nil end

function get_xdsl() return cwmp_get_params { "Device.DSL." } end

function parse_xdsl(response)
    local values, out = response_to_map(response), {}
    for _, row in ipairs(rows(values, "Device.DSL.Line.")) do
        local channel = "Device.DSL.Channel." .. row.number .. "."
        local function number(path, name) return pv(tonumber(values[path .. name])) end
        out[#out + 1] = {
            path = row.path, status = pv(values[row.path .. "LinkStatus"]), modulation_type = pv(values[row.path .. "XTSUsed"]),
            upstream_rate = number(channel, "UpstreamCurrRate"), downstream_rate = number(channel, "DownstreamCurrRate"),
            upstream_max_rate = number(row.path, "UpstreamMaxBitRate"), downstream_max_rate = number(row.path, "DownstreamMaxBitRate"),
        }
    end
    return out, nil
end
