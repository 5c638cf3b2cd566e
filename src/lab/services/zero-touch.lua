-- Zero-touch provisioning of an OpenWrt router over TR-181.
--
-- Variables: hostname, ntp_servers, wifi_ssid, wifi_passphrase, dhcp_min, dhcp_max, camera_ip.
-- `rcwmpd lab --var wifi_ssid=Home` changes one; `rcwmpd lab --service my.lua` runs another script.

-- The message types of send_cwmp_message.
local GET, SET, ADD = 0, 1, 2

-- Values come from people: they must not break the XML.
local function escape(text)
    return (text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

local function envelope(body)
    return [[
<?xml version="1.0" encoding="UTF-8"?>
<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" xmlns:soapenc="http://schemas.xmlsoap.org/soap/encoding/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:cwmp="urn:dslforum-org:cwmp-1-0">
  <soap:Header/>
  <soap:Body>
    ]] .. body .. [[

  </soap:Body>
</soap:Envelope>]]
end

-- One list of { name, value, type }; the type is xsd:string when it is left out.
local function set_message(parameters)
    local items = {}
    for _, parameter in ipairs(parameters) do
        local name, value, kind = parameter[1], parameter[2], parameter[3] or "string"
        items[#items + 1] = "<ParameterValueStruct><Name>" .. name .. "</Name><Value xsi:type=\"xsd:" .. kind
            .. "\">" .. escape(value) .. "</Value></ParameterValueStruct>"
    end
    return envelope("<cwmp:SetParameterValues><ParameterList soapenc:arrayType=\"cwmp:ParameterValueStruct["
        .. #items .. "]\">" .. table.concat(items) .. "</ParameterList><ParameterKey>zero-touch</ParameterKey>"
        .. "</cwmp:SetParameterValues>")
end

local function add_message(object)
    return envelope("<cwmp:AddObject><ObjectName>" .. object
        .. "</ObjectName><ParameterKey>zero-touch</ParameterKey></cwmp:AddObject>")
end

local function get_message(path)
    return envelope("<cwmp:GetParameterValues><ParameterNames soapenc:arrayType=\"xsd:string[1]\"><string>" .. path
        .. "</string></ParameterNames></cwmp:GetParameterValues>")
end

-- Queues a message; the device gets it in this session, in the order of the calls.
local function send(what, message)
    print(what)
    local result = send_cwmp_message_and_forget(get_device_id(), message, 10)
    if type(result) == "table" then
        error(what .. ": " .. result.error_message .. " (" .. result.error_code .. ")", 0)
    end
end

-- Sends a message and waits for the answer.
local function ask(what, message, kind)
    print(what)
    local result = send_cwmp_message(get_device_id(), message, kind)
    if type(result) == "table" and result.error_code then
        error(what .. ": " .. result.error_message .. " (" .. result.error_code .. ")", 0)
    end
    return result
end

-- The path of the first instance of `table` whose parameter `name` is `value`.
local function find(path, name, value)
    local values = ask("Looking for " .. value .. " in " .. path, get_message(path), GET)
    for parameter, found in pairs(values) do
        local instance = parameter:match("^" .. path:gsub("%.", "%%.") .. "(%d+)%." .. name .. "$")
        if instance and found == value then
            return path .. instance
        end
    end
    error("there is no " .. value .. " in " .. path, 0)
end

local function provision()
    local variable = get_variable_value
    print("Provisioning " .. get_device_id())

    send("Setting host name and time servers", set_message {
        { "Device.DeviceInfo.HostName", variable("hostname") },
        { "Device.Time.Client.1.Servers", variable("ntp_servers") },
    })

    send("Setting up the 2.4 GHz network", set_message {
        { "Device.WiFi.SSID.1.SSID", variable("wifi_ssid") },
        { "Device.WiFi.AccessPoint.1.Security.KeyPassphrase", variable("wifi_passphrase") },
    })

    send("Setting the address range of the LAN", set_message {
        { "Device.DHCPv4.Server.Pool.1.MinAddress", variable("dhcp_min") },
        { "Device.DHCPv4.Server.Pool.1.MaxAddress", variable("dhcp_max") },
    })

    local wan = find("Device.IP.Interface.", "Name", "wan")
    local made = ask("Adding a port mapping", add_message("Device.NAT.PortMapping."), ADD)
    local mapping = "Device.NAT.PortMapping." .. made.instance_number .. "."
    send("Pointing it at the camera", set_message {
        { mapping .. "Enable", "1", "boolean" },
        { mapping .. "Interface", wan },
        { mapping .. "Protocol", "TCP" },
        { mapping .. "ExternalPort", "8554", "unsignedInt" },
        { mapping .. "InternalPort", "554", "unsignedInt" },
        { mapping .. "InternalClient", variable("camera_ip") },
        { mapping .. "Description", "Camera" },
    })

    if not refresh_device_parameters(get_device_id()) then
        error("the values kept by the ACS could not be refreshed", 0)
    end
    print("All messages are queued")
end

local ok, why = pcall(provision)
if ok then
    set_provisioning_status("provisioned")
else
    print("Failed: " .. tostring(why))
    set_provisioning_status("failed")
end
