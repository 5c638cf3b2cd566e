-- Oktopus profile of a device with the lab's TR-098 model (`rcwmpd lab --model tr098`): access points, WAN connections, hosts,
-- diagnostics, identity.
--
-- The model has no more: no bridges, counters or lines, and TR-098 knows no site survey. A hook that is missing is a capability
-- that the device lacks.

local WLAN = "InternetGatewayDevice.LANDevice.1.WLANConfiguration."
local WAN = "InternetGatewayDevice.WANDevice.1."
local CONNECTION = WAN .. "WANConnectionDevice.1."
local HOSTS = "InternetGatewayDevice.LANDevice.1.Hosts."
local PING, TRACE = "InternetGatewayDevice.IPPingDiagnostics.", "InternetGatewayDevice.TraceRouteDiagnostics."
local DOWNLOAD, UPLOAD = "InternetGatewayDevice.DownloadDiagnostics.", "InternetGatewayDevice.UploadDiagnostics."

local function escape(text)
    return (tostring(text):gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

local function envelope(body)
    return [[<?xml version="1.0" encoding="UTF-8"?>
<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:cwmp="urn:dslforum-org:cwmp-1-0">
<soap:Header/><soap:Body>]] .. body .. "</soap:Body></soap:Envelope>"
end

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

local function given(member)
    if type(member) == "table" then return member.value end
    return member
end

local function collect(list, path, input, fields)
    for _, field in ipairs(fields) do
        local value = given(input[field[1]])
        if value ~= nil then
            if field[3] == "boolean" then value = (value == true or value == "true" or value == "1") and "1" or "0" end
            list[#list + 1] = { path .. field[2], value, field[3] }
        end
    end
end

-- A list, one item alone, or a map of them: each, and an error for one without a path.
local function set_all(input, fields)
    local list = {}
    if type(input) == "table" and (input.path or input.ssid_path) then input = { input } end
    for _, item in pairs(input or {}) do
        local path = item.path or item.ssid_path
        if not path then return nil, "its path is missing" end
        collect(list, path, item, fields)
    end
    return set(list)
end

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

---------------------------------------------------------------------- what the profile knows

function get_vendor() return "Example", nil end
function get_data_model() return "TR-098", nil end

function get_device_capabilities()
    return {
        Radio = true, Ssid = true, Wifi = true, ConnectedDevices = true, Diagnostic = true, Ping = true, Traceroute = true,
        SpeedTest = true, Interfaces = true, Ports = true, Hwinfo = true, Reboot = true, FactoryReset = true,
    }, nil
end

-- A trace of thirty hops takes a minute at most.
function get_device_specs() return { TimeTraceRoute = 60, DirectResult = false }, nil end
function is_real_time() return false, nil end
function get_wan_options() return { { protocol = "DHCP", type = "Ethernet", vlan = false }, { protocol = "PPPoE", type = "Ethernet", vlan = false } }, nil end

---------------------------------------------------------------------- Wi-Fi: in TR-098 a radio and its SSID are one object

function get_radio() return cwmp_get_params { WLAN } end

function parse_radio(response)
    local values, out = response_to_map(response), {}
    for _, row in ipairs(rows(values, WLAN)) do
        local function value(name) return values[row.path .. name] end
        out[#out + 1] = {
            path = row.path, enable = pv(truth(value "RadioEnabled"), true), channel = pv(tonumber(value "Channel"), true),
            auto_channel_enable = pv(truth(value "AutoChannelEnable"), true), operating_standards = pv({ value "Standard" }),
            max_bit_rate = pv(value "MaxBitRate", true),
        }
    end
    return out, nil
end

function set_radio(radios)
    return set_all(radios, {
        { "enable", "RadioEnabled", "boolean" }, { "channel", "Channel", "unsignedInt" },
        { "auto_channel_enable", "AutoChannelEnable", "boolean" }, { "max_bit_rate", "MaxBitRate", "string" },
    })
end

function get_ssid() return cwmp_get_params { WLAN } end

function parse_ssid(response)
    local values, out = response_to_map(response), {}
    for _, row in ipairs(rows(values, WLAN)) do
        local function value(name) return values[row.path .. name] end
        out[#out + 1] = {
            path = row.path, name = pv(value "Name"), enable = pv(truth(value "Enable"), true), ssid = pv(value "SSID", true),
            mac_address = pv(value "BSSID"), status = pv(value "Status"),
            security = { path = row.path, security_mode_enabled = pv(value "BeaconType", true) },
        }
    end
    return out, nil
end

function set_ssid(ssids)
    return set_all(ssids, { { "enable", "Enable", "boolean" }, { "ssid", "SSID", "string" }, { "key_passphrase", "KeyPassphrase", "string" } })
end

---------------------------------------------------------------------- WAN and LAN

function get_interface_wan() return cwmp_get_params { WAN } end

local function connection(values, path, kind)
    local function value(name) return values[path .. name] end
    local port = {
        path = path, name = pv(value "Name", true), alias = pv(value "Alias", true), enable = pv(truth(value "Enable"), true),
        status = pv(value "ConnectionStatus"), up = value "ConnectionStatus" == "Connected", type = kind,
        ipv4 = { { path = path, ip_address = pv(value "ExternalIPAddress", true) } },
    }
    if kind == "PPPoE" then port.pppoe = { path = path, username = pv(value "Username", true), connection_status = pv(value "ConnectionStatus") } end
    return port
end

local function parse_connections(response)
    local values, out = response_to_map(response), {}
    for table_name, kind in pairs { WANIPConnection = "DHCP", WANPPPConnection = "PPPoE" } do
        for _, row in ipairs(rows(values, CONNECTION .. table_name .. ".")) do
            out[row.path] = connection(values, row.path, kind)
        end
    end
    return out, nil
end

function parse_get_interface_wan(response) return parse_connections(response) end

function get_interface_lan() return cwmp_get_params { "InternetGatewayDevice.LANDevice." } end

function parse_get_interface_lan(response)
    local values, out = response_to_map(response), {}
    for _, row in ipairs(rows(values, "InternetGatewayDevice.LANDevice.")) do
        out[row.path] = {
            path = row.path, alias = pv(values[row.path .. "Alias"], true), up = true, type = "LAN",
            access_points = tonumber(values[row.path .. "LANWLANConfigurationNumberOfEntries"]),
        }
    end
    return out, nil
end

function get_port() return cwmp_get_params { CONNECTION } end
function parse_get_port(response) return parse_connections(response) end

-- The members' names are the parameters' names in another writing: the host knows what to do.
function set_port() return nil, nil end

-- A PPPoE connection more, or what the path says.
function add_port(port)
    return envelope("<cwmp:AddObject><ObjectName>" .. escape(port and port.path or CONNECTION .. "WANPPPConnection.")
        .. "</ObjectName><ParameterKey/></cwmp:AddObject>")
end

---------------------------------------------------------------------- hosts

function get_connected_devices() return cwmp_get_params { HOSTS } end

function parse_get_connected_devices(response)
    local values, out = response_to_map(response), { ethernet = {}, wifi = {} }
    for _, row in ipairs(rows(values, HOSTS .. "Host.")) do
        local function value(name) return values[row.path .. name] end
        local list = value "InterfaceType" == "802.11" and out.wifi or out.ethernet
        list[#list + 1] = {
            host_name = value "HostName", hostname = value "HostName", ip = value "IPAddress", ip_adress = value "IPAddress",
            mac = value "MACAddress", active = truth(value "Active"), interface_type = value "InterfaceType",
        }
    end
    return out, nil
end

---------------------------------------------------------------------- diagnostics: each is requested with what it is given, in one message

local function request(path, input, fields, list)
    list = list or {}
    collect(list, path, input or {}, fields)
    list[#list + 1] = { path .. "DiagnosticsState", "Requested", "string" }
    return set(list)
end

local PING_FIELDS = {
    { "interface", "Interface", "string" }, { "host", "Host", "string" }, { "repetitions", "NumberOfRepetitions", "unsignedInt" },
    { "number_of_repetitions", "NumberOfRepetitions", "unsignedInt" }, { "timeout", "Timeout", "unsignedInt" },
    { "data_block_size", "DataBlockSize", "unsignedInt" },
}
local TRACE_FIELDS = {
    { "interface", "Interface", "string" }, { "host", "Host", "string" }, { "number_of_tries", "NumberOfTries", "unsignedInt" },
    { "timeout", "Timeout", "unsignedInt" }, { "max_hop_count", "MaxHopCount", "unsignedInt" },
}

-- What a diagnostic is set to, by its fields.
local function settings(response, path, fields)
    local values, out = response_to_map(response), {}
    for _, field in ipairs(fields) do
        local value = values[path .. field[2]]
        if field[3] == "unsignedInt" then value = tonumber(value) end
        out[field[1]] = pv(value, true)
    end
    return out, nil
end

function get_ping() return cwmp_get_params { PING } end
function parse_get_ping(response) return settings(response, PING, PING_FIELDS) end
function get_ping_diagnostic_state() return PING .. "DiagnosticsState", nil end
function set_ping(ping) return request(PING, ping, PING_FIELDS) end
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
function parse_get_traceroute(response) return settings(response, TRACE, TRACE_FIELDS) end
function get_traceroute_diagnostic_state() return TRACE .. "DiagnosticsState", nil end
function set_traceroute(traceroute) return request(TRACE, traceroute, TRACE_FIELDS) end
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
        for time in (values[row.path .. "HopRTTimes"] or ""):gmatch("%d+") do times[#times + 1] = tonumber(time) end
        hops[#hops + 1] = {
            hop_host = values[row.path .. "HopHost"], hop_host_address = values[row.path .. "HopHostAddress"],
            hop_error_code = tonumber(values[row.path .. "HopErrorCode"]), hop_rtt_times = times,
        }
    end
    return {
        diagnostic_state = values[TRACE .. "DiagnosticsState"], response_time = tonumber(values[TRACE .. "ResponseTime"]),
        hop_count = #hops, hops = hops,
    }, nil
end

function set_speed_test(test)
    local url = test and given(test.url)
    if not url then return nil, "a speed test needs a url" end
    if test.action ~= "upload" then return request(DOWNLOAD, {}, {}, { { DOWNLOAD .. "DownloadURL", url, "string" } }) end
    return request(UPLOAD, {}, {}, {
        { UPLOAD .. "UploadURL", url, "string" }, { UPLOAD .. "TestFileLength", given(test.size) or 1000000, "unsignedInt" },
    })
end

function get_download_diagnostic_state() return DOWNLOAD .. "DiagnosticsState", nil end
function get_upload_diagnostic_state() return UPLOAD .. "DiagnosticsState", nil end
function get_speed_test_result(kind) return cwmp_get_params { kind == "upload" and UPLOAD or DOWNLOAD } end

-- Seconds of the day of a dateTime, with its fraction.
local function seconds(text)
    local hour, minute, second = (text or ""):match("T(%d+):(%d+):([%d.]+)")
    return hour and hour * 3600 + minute * 60 + second
end

function parse_get_speed_test_result(kind, response)
    local values, up = response_to_map(response), kind == "upload"
    local function value(name) return values[(up and UPLOAD or DOWNLOAD) .. name] end
    local bytes = tonumber(value(up and "TotalBytesSent" or "TestBytesReceived"))
    local from, to = seconds(value "BOMTime"), seconds(value "EOMTime")
    local time = from and to and (to - from) % 86400
    local speed = bytes and time and time > 0 and ("%.2f Mbps"):format(bytes * 8 / time / 1e6) or nil
    return {
        diagnostic_state = value "DiagnosticsState", type = kind, action = kind,
        download_speed = not up and speed or nil, upload_speed = up and speed or nil, throughput = speed,
        bytes_received = not up and bytes or nil, bytes_sent = up and bytes or nil,
    }, nil
end

---------------------------------------------------------------------- the device itself

function get_hwinfo() return cwmp_get_params { "InternetGatewayDevice.DeviceInfo." } end

function parse_get_hwinfo(response)
    local values = response_to_map(response)
    local function value(name) return values["InternetGatewayDevice.DeviceInfo." .. name] end
    return {
        manufacturer = value "Manufacturer", model_name = value "ModelName", serial_number = value "SerialNumber",
        software_version = value "SoftwareVersion", hardware_version = value "HardwareVersion", uptime_seconds = tonumber(value "UpTime"),
    }, nil
end
